import { readFile } from 'node:fs/promises';
import sharp from 'sharp';
import { beforeEach, describe, expect, inject, it } from 'vitest';
import { browser, page, server } from './support/observed-page.ts';
import { choose, download, finished, openPage } from './support/page.ts';
import { observeRestoringPages, photo, restored, restoredAnswer } from './support/photo.ts';
import { json, problem } from './support/server.ts';

observeRestoringPages();

/** The colour at a point of the frame, as it is painted. */
async function colourAt(fraction: number): Promise<readonly number[]> {
  const shot = await page.getByTestId('compare').screenshot();
  const { data, info } = await sharp(shot).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  // Off the middle line, where the handle is.
  const pixel = Math.floor(info.height * 0.25) * info.width + Math.floor(info.width * fraction);
  return [...data.subarray(pixel * 3, pixel * 3 + 3)];
}

const BEFORE = [0x80, 0x40, 0x20];
const AFTER = [0x20, 0x80, 0x40];

describe('a photo', () => {
  it('that is chosen goes to the service as it is, and comes back under the slider', async () => {
    await choose(page, photo);
    await page.getByTestId('slider').waitFor();
    const [upload, ...more] = server.service.uploads;
    expect(more).toEqual([]);
    expect(Buffer.from(upload!.body).equals(photo.buffer)).toBe(true);
    expect(upload!.headers['content-type']).toBe('image/png');
    expect(upload!.headers.accept).toBe('image/*');
    expect(Object.fromEntries(upload!.query)).toEqual({ model: 'auto', format: 'auto', metadata: 'keep' });
    expect(await colourAt(0.25)).toEqual(BEFORE);
    expect(await colourAt(0.75)).toEqual(AFTER);
  });

  it('may be dropped anywhere', async () => {
    const transfer = await page.evaluateHandle(
      (bytes) => {
        const data = new DataTransfer();
        data.items.add(new File([Uint8Array.from(bytes)], 'dropped.png', { type: 'image/png' }));
        return data;
      },
      [...photo.buffer],
    );
    await page.dispatchEvent('footer', 'dragenter', { dataTransfer: transfer });
    expect(await page.locator('body').getAttribute('data-dragging')).toBe('');
    await page.dispatchEvent('footer', 'drop', { dataTransfer: transfer });
    await page.getByTestId('slider').waitFor();
    expect(await page.locator('body').getAttribute('data-dragging')).toBeNull();
    expect(await page.getByTestId('result-name').textContent()).toBe('dropped-deblurred.png');
  });

  it('may be pasted', async () => {
    await page.evaluate(
      (bytes) => {
        const clipboardData = new DataTransfer();
        clipboardData.items.add(new File([Uint8Array.from(bytes)], 'pasted.png', { type: 'image/png' }));
        document.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
      },
      [...photo.buffer],
    );
    await page.getByTestId('slider').waitFor();
    expect(Buffer.from(server.service.uploads[0]!.body).equals(photo.buffer)).toBe(true);
  });

  it('may be the bundled example', async () => {
    await page.getByTestId('example').click();
    await page.getByTestId('slider').waitFor();
    const example = await readFile(`${inject('page')}/example.jpg`);
    expect(Buffer.from(server.service.uploads[0]!.body).equals(example)).toBe(true);
    expect(await page.locator('footer').innerText()).toMatch(/REDS.*CC BY 4\.0/);
  });

  it('that the browser cannot show still gets its result, without a slider', async () => {
    const tiff = await sharp(photo.buffer).tiff().toBuffer();
    await choose(page, { name: 'scan.tiff', mimeType: 'image/tiff', buffer: tiff });
    await page.getByTestId('restored').waitFor();
    expect(await page.getByTestId('slider').isVisible()).toBe(false);
    expect(await colourAt(0.1)).toEqual(AFTER);
  });

  it('above the limit is refused before it is sent', async () => {
    await choose(page, { ...photo, buffer: Buffer.alloc(25_000_001) });
    await page.getByTestId('error').waitFor();
    expect(await page.getByTestId('error-title').textContent()).toBe('The body is too large');
    expect(await page.getByTestId('error-detail').textContent()).toContain('up to 25 MB');
    expect(server.service.uploads).toEqual([]);
  });
});

describe('the slider', () => {
  beforeEach(async () => {
    await choose(page, photo);
    await page.getByTestId('slider').waitFor();
  });

  it('has the focus at once, and moves by the keyboard', async () => {
    const slider = page.getByRole('slider');
    const splitAt = (): Promise<string> =>
      page.getByTestId('restored').evaluate((image) => getComputedStyle(image).clipPath);
    expect(await slider.inputValue()).toBe('50');
    // The handle glides in when the picture appears.
    await expect.poll(splitAt).toBe('inset(0px 0px 0px 50%)');
    await page.keyboard.press('ArrowRight');
    expect(await slider.inputValue()).toBe('51');
    await expect.poll(splitAt).toBe('inset(0px 0px 0px 51%)');
    await page.keyboard.press('Shift+ArrowLeft');
    expect(await slider.inputValue()).toBe('41');
    expect(await slider.getAttribute('aria-valuetext')).toBe('59 % restored');
    await page.keyboard.press('Home');
    expect(await colourAt(0.02)).toEqual(AFTER);
    await page.keyboard.press('End');
    expect(await colourAt(0.98)).toEqual(BEFORE);
  });

  it('follows the pointer, with the handle under it', async () => {
    const frame = (await page.getByTestId('compare').boundingBox())!;
    const y = frame.y + frame.height / 2;
    await page.mouse.move(frame.x + frame.width / 2, y);
    await page.mouse.down();
    await page.mouse.move(frame.x + frame.width * 0.2, y, { steps: 4 });
    await page.mouse.up();
    expect(Number(await page.getByTestId('slider').inputValue())).toBeCloseTo(20, 0);
    expect(await colourAt(0.1)).toEqual(BEFORE);
    expect(await colourAt(0.3)).toEqual(AFTER);
  });
});

it('shows a large picture at full size, moved by the keyboard and the pointer', async () => {
  const bars = Buffer.from(
    '<svg width="3000" height="2000"><rect x="1500" width="1500" height="2000" fill="#fff"/></svg>',
  );
  const buffer = await sharp(bars).flatten({ background: '#000' }).png().toBuffer();
  server.service.deblur = () => restoredAnswer('miss', buffer);
  await choose(page, { ...photo, buffer });
  await page.getByTestId('slider').waitFor();
  await page.getByTestId('zoom-full').click();
  expect(await colourAt(0.45)).toEqual([0, 0, 0]);
  await page.getByTestId('pan').focus();
  for (let i = 0; i < 5; i++) await page.keyboard.press('ArrowRight');
  // 200 pixels to the right: the edge between black and white has moved 200 pixels to the left.
  expect(await colourAt(0.4)).toEqual([255, 255, 255]);
  const frame = (await page.getByTestId('compare').boundingBox())!;
  await page.mouse.move(frame.x + 50, frame.y + 50);
  await page.mouse.down();
  await page.mouse.move(frame.x + 250, frame.y + 50, { steps: 4 });
  await page.mouse.up();
  expect(await colourAt(0.4)).toEqual([0, 0, 0]);
  await page.getByTestId('zoom-fit').click();
  expect(await page.getByTestId('pan').isVisible()).toBe(false);
});

describe('a result', () => {
  it('is downloaded byte for byte, under the name of the photo', async () => {
    await choose(page, photo);
    await finished(page);
    const file = await download(page);
    expect(file.name).toBe('street corner-deblurred.png');
    expect(file.bytes.equals(restored)).toBe(true);
  });

  it('says what ran, where, from which cache, and where it is stored', async () => {
    server.service.deblur = () => restoredAnswer('hit');
    await choose(page, photo);
    await finished(page);
    expect(await page.getByTestId('fact-model').textContent()).toBe('dhnet-edge');
    expect(await page.getByTestId('fact-model-version').textContent()).toBe('0123456789ab');
    expect(await page.getByTestId('fact-placement').textContent()).toBe('At the edge');
    expect(await page.getByTestId('fact-cache').textContent()).toContain('Hit');
    expect(await page.getByTestId('fact-time').textContent()).toMatch(/^[\d.]+ m?s$/);
    expect(await page.getByTestId('result-link').getAttribute('href')).toBe('/v1/results/abc');
  });

  it('can be had again with other settings', async () => {
    await choose(page, photo);
    await finished(page);
    expect(await page.getByTestId('repeat').isVisible()).toBe(false);
    await page.getByTestId('format').selectOption('webp');
    await page.getByTestId('metadata').uncheck();
    await page.getByTestId('model').selectOption('dhnet-edge');
    await page.getByTestId('repeat').click();
    await finished(page);
    const query = Object.fromEntries(server.service.uploads[1]!.query);
    expect(query).toEqual({ model: 'dhnet-edge', format: 'webp', metadata: 'strip' });
  });
});

describe('models', () => {
  it('without trained weights are listed with the reason and cannot be chosen', async () => {
    const option = page.getByTestId('model').locator('option[value="dhnet"]');
    await option.waitFor({ state: 'attached' });
    expect(await option.isDisabled()).toBe(true);
    expect(await option.textContent()).toBe('dhnet (no trained weights yet)');
    expect(await page.getByTestId('model').locator('option[value="dhnet-edge"]').isDisabled()).toBe(false);
  });

  it('are left to the service when the list cannot be had', async () => {
    server.service.models = json(null);
    await page.reload();
    await page.getByText('The list could not be had').waitFor();
    expect(await page.getByTestId('model').locator('option').count()).toBe(1);
    await choose(page, photo);
    await finished(page);
  });
});

it('is cross-origin isolated under a policy without exceptions for inline code', async () => {
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
  const policy = (await (await page.request.get(server.origin)).headersArray()).find(
    ({ name }) => name.toLowerCase() === 'content-security-policy',
  );
  expect(policy?.value).toContain("default-src 'none'");
  expect(policy?.value).not.toMatch(/unsafe-inline|'unsafe-eval'|data:|https?:/);
});

it('downloads nothing of the device’s runtime while the switch is off', async () => {
  await choose(page, photo);
  await finished(page);
  expect(server.service.paths.filter((path) => /ort|worker|models\/|\.wasm/.test(path))).toEqual([]);
});

describe.each(['light', 'dark'] as const)('in the %s scheme', (colorScheme) => {
  it.each([360, 1280])('fits a window of %i pixels in every state', async (width) => {
    const opened = await openPage(browser, server, { colorScheme, viewport: { width, height: 740 } });
    const fits = (): Promise<boolean> =>
      opened.page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth);
    expect(await fits()).toBe(true);
    await choose(opened.page, { ...photo, name: `${'a-very-long-name-'.repeat(12)}.png` });
    await finished(opened.page);
    expect(await fits()).toBe(true);
    server.service.deblur = () => problem(422, 'image_truncated', 'x'.repeat(300), 'The picture is truncated');
    await opened.page.getByTestId('another').click();
    await choose(opened.page, photo);
    await opened.page.getByTestId('error').waitFor();
    expect(await fits()).toBe(true);
    const corner = sharp(await opened.page.screenshot({ clip: { x: 2, y: 2, width: 1, height: 1 } }));
    const lightness = (await corner.stats()).channels[0]!.mean;
    expect(colorScheme === 'light' ? lightness > 230 : lightness < 40).toBe(true);
    await opened.page.context().close();
  });
});
