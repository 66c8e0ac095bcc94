import { readFile } from 'node:fs/promises';
import { readMetadata, writeMetadata } from '@deblur/shared/metadata/index.ts';
import type { RawImage } from '@deblur/shared/pixels/raw-image.ts';
import type { Browser, Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { decodeRgb, fixture, psnr, type Pixels } from '../support/images.ts';
import { choose, download, finished, openPage, SOFTWARE_WEBGPU, startServer, type TestFile } from './support/page.ts';
import { restoreInNode } from './support/reference.ts';
import type { PageServer } from './support/server.ts';

let server: PageServer;
let browser: Browser;
let page: Page;
let complaints: string[];

async function crop(width: number, height: number): Promise<TestFile> {
  const frame = sharp(await fixture('reds/blur.png'));
  const buffer = await frame.extract({ left: 300, top: 180, width, height }).png().toBuffer();
  return { name: 'crop.png', mimeType: 'image/png', buffer };
}

async function restoreOnDevice(file: TestFile, on: Page = page): Promise<Buffer> {
  await on.getByTestId('on-device').check();
  await choose(on, file);
  await finished(on);
  return (await download(on)).bytes;
}

/** The share of samples that differ by more than `levels` of 255. */
function shareBeyond(a: Uint8Array, b: Uint8Array | Uint16Array, levels: number): number {
  expect(a.length).toBe(b.length);
  return a.reduce((count, value, i) => count + (Math.abs(value - b[i]!) > levels ? 1 : 0), 0) / a.length;
}

/** A crop that needs a turn by 90°, with a profile that is not sRGB and a name in its EXIF. */
async function described(format: 'jpeg' | 'png' | 'webp'): Promise<{ file: TestFile; icc: Buffer }> {
  const bare = await sharp((await crop(96, 64)).buffer)
    .toFormat(format, { quality: 100, lossless: format === 'webp' })
    .toBuffer();
  const tagged = sharp(bare).withMetadata({ orientation: 6 }).withIccProfile('p3');
  const { exif, icc } = await sharp(
    await tagged
      .withExifMerge({ IFD0: { Artist: 'A. Tester' } })
      .jpeg()
      .toBuffer(),
  ).metadata();
  const blocks = { exif: exif!.subarray('Exif\0\0'.length), icc: icc! };
  const buffer = Buffer.from(await writeMetadata(bare, format, blocks));
  return { file: { name: `turned.${format}`, mimeType: `image/${format}`, buffer }, icc: icc! };
}

/** The numbers in the file, upright: no profile applied. */
async function stored(file: Buffer): Promise<Pixels & { channels: 3 }> {
  const picture = sharp(file, { ignoreIcc: true }).autoOrient().removeAlpha().raw();
  const { data, info } = await picture.toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, channels: 3, data };
}

/** In squares of 8 by 8: what JPEG and WebP lose is not seen any more, and a picture turned another way is. */
async function coarsely({ width, height, data }: RawImage): Promise<Pixels> {
  const raw = { width, height, channels: 3 as const };
  const small = { width: width / 8, height: height / 8 };
  return {
    ...small,
    data: await sharp(Uint8Array.from(data), { raw })
      .resize({ ...small, kernel: 'linear' })
      .raw()
      .toBuffer(),
  };
}

beforeAll(async () => {
  server = await startServer(inject('page'));
  browser = await launchChromium();
  // One page for all that can share it, as a person would: its worker and its model stay.
  ({ page, complaints } = await openPage(browser, server));
});

afterAll(async () => {
  await browser.close();
  await server.close();
});

beforeEach(async () => {
  server.service.reset();
  await page.getByTestId('metadata').check();
});

afterEach(() => {
  expect(complaints).toEqual([]);
  expect(server.service.uploads).toEqual([]);
});

describe('WebAssembly', () => {
  it.each([
    ['one tile', 256, 256],
    ['several tiles', 420, 300],
    ['less than a tile', 37, 19],
    ['one pixel', 1, 1],
  ])('restores %s to what onnxruntime-node makes of it', async (_, width, height) => {
    const file = await crop(width, height);
    const onDevice = await decodeRgb(await restoreOnDevice(file));
    const expected = await restoreInNode({ ...(await decodeRgb(file.buffer)), channels: 3 }, 'uint8');
    expect([onDevice.width, onDevice.height]).toEqual([width, height]);
    expect(shareBeyond(onDevice.data, expected.data, 1)).toBe(0);
    expect(await page.getByTestId('fact-model').textContent()).toMatch(/^dhnet-edge@[0-9a-f]{12} · WebAssembly/);
  });

  it('counts the tiles', async () => {
    const seen = await page.locator('body').evaluateHandle((element) => {
      const texts = new Set<string>();
      const note = (): void => {
        const title = element.querySelector('[data-testid=working-title]')?.textContent;
        if (title) texts.add(title);
      };
      new MutationObserver(note).observe(element, { childList: true, characterData: true, subtree: true });
      return texts;
    });
    await restoreOnDevice(await crop(420, 300));
    const texts = await seen.evaluate((set) => [...set]);
    const percents = texts.flatMap((text) => text.match(/^Restoring, (\d+) %/)?.[1] ?? []).map(Number);
    // Tiles that end together may be told as one step.
    expect(percents.length).toBeGreaterThan(0);
    expect(percents).toEqual(percents.toSorted((one, other) => one - other));
  });

  it('uses threads', async () => {
    await restoreOnDevice(await crop(64, 64));
    const cores = await page.evaluate(() => navigator.hardwareConcurrency);
    const text = cores > 1 ? `WebAssembly, ${Math.min(4, cores)} threads` : 'WebAssembly';
    expect(await page.getByTestId('fact-model').textContent()).toMatch(new RegExp(` · ${text}$`));
  });
});

describe('WebGPU', () => {
  let gpuBrowser: Browser;

  beforeAll(async () => {
    gpuBrowser = await launchChromium(SOFTWARE_WEBGPU);
  });

  afterAll(() => gpuBrowser.close());

  it('restores 64×64 to what onnxruntime-node makes of it: 99 % of samples within 1/255, all within 3/255', async () => {
    const opened = await openPage(gpuBrowser, server, { path: '/?webgpu=force' });
    const file = await crop(64, 64);
    const onDevice = await decodeRgb(await restoreOnDevice(file, opened.page));
    expect(await opened.page.getByTestId('fact-model').textContent()).toMatch(/ · WebGPU$/);
    const expected = await restoreInNode({ ...(await decodeRgb(file.buffer)), channels: 3 }, 'float32');
    expect(shareBeyond(onDevice.data, expected.data, 1)).toBeLessThan(0.01);
    expect(shareBeyond(onDevice.data, expected.data, 3)).toBe(0);
    expect(opened.complaints).toEqual([]);
    await opened.page.context().close();
  });

  it('on a processor is not used unless it is forced', async () => {
    const opened = await openPage(gpuBrowser, server);
    await restoreOnDevice(await crop(64, 64), opened.page);
    expect(await opened.page.getByTestId('fact-model').textContent()).toMatch(/ · WebAssembly/);
    await opened.page.context().close();
  });

  it('that fails gives way to WebAssembly, and the page says so', async () => {
    const opened = await openPage(gpuBrowser, server, { path: '/?webgpu=force' });
    await opened.page.context().route('**/*.jspi*.wasm', (route) => route.abort());
    const file = await crop(64, 64);
    const onDevice = await decodeRgb(await restoreOnDevice(file, opened.page));
    expect(await opened.page.getByTestId('fact-model').textContent()).toMatch(/WebAssembly.*\(WebGPU failed\)$/);
    const expected = await restoreInNode({ ...(await decodeRgb(file.buffer)), channels: 3 }, 'uint8');
    expect(shareBeyond(onDevice.data, expected.data, 1)).toBe(0);
    await opened.page.context().close();
  });
});

describe('fidelity', () => {
  it('alpha comes back byte for byte', async () => {
    const { data, info } = await sharp((await crop(64, 48)).buffer)
      .raw()
      .toBuffer({ resolveWithObject: true });
    const alpha = Buffer.from(Array.from({ length: info.width * info.height }, (_, i) => (i * 7) % 256));
    const raw = { width: info.width, height: info.height, channels: 3 as const };
    const source = sharp(data, { raw }).joinChannel(alpha, { raw: { ...raw, channels: 1 } });
    const file = { name: 'alpha.png', mimeType: 'image/png', buffer: await source.png().toBuffer() };
    const restored = await sharp(await restoreOnDevice(file))
      .extractChannel(3)
      .raw()
      .toBuffer();
    expect(restored.equals(alpha)).toBe(true);
  });

  it('grey stays grey', async () => {
    const buffer = await sharp((await crop(64, 64)).buffer)
      .toColourspace('b-w')
      .png()
      .toBuffer();
    const { data } = await decodeRgb(await restoreOnDevice({ name: 'grey.png', mimeType: 'image/png', buffer }));
    for (let i = 0; i < data.length; i += 3) expect([data[i + 1], data[i + 2]]).toEqual([data[i], data[i]]);
  });

  it.each(['jpeg', 'png', 'webp'] as const)(
    'a turned %s comes back upright, with its profile and camera data',
    async (format) => {
      const { file, icc } = await described(format);
      const restored = await restoreOnDevice(file);
      const found = await readMetadata(restored, format);
      expect(Buffer.from(found.icc!).equals(icc)).toBe(true);
      expect(Buffer.from(found.exif!).includes('A. Tester')).toBe(true);
      // The browser's own profile is gone: a JPEG with two is read in two ways.
      if (format === 'jpeg') expect(restored.toString('latin1').match(/ICC_PROFILE/g)).toHaveLength(1);
      const { orientation, ...size } = await sharp(restored).metadata();
      expect([size.format, size.width, size.height]).toEqual([format, 64, 96]);
      expect(orientation ?? 1).toBe(1);
      const expected = await restoreInNode(await stored(file.buffer), 'uint8');
      const [coarse, expectedCoarse] = await Promise.all([coarsely(await stored(restored)), coarsely(expected)]);
      expect(psnr(coarse, expectedCoarse)).toBeGreaterThan(28);
    },
  );

  it('metadata is left out on request, but for the profile', async () => {
    const { file, icc } = await described('jpeg');
    await page.getByTestId('metadata').uncheck();
    const found = await readMetadata(await restoreOnDevice(file), 'jpeg');
    expect(Object.keys(found)).toEqual(['icc']);
    expect(Buffer.from(found.icc!).equals(icc)).toBe(true);
  });

  it('16 bits become 8, and the page says so', async () => {
    const buffer = await sharp((await crop(32, 32)).buffer)
      .toColourspace('rgb16')
      .png()
      .toBuffer();
    await restoreOnDevice({ name: 'deep.png', mimeType: 'image/png', buffer });
    expect((await page.getByTestId('note').allInnerTexts()).join()).toContain('8 bits for each channel');
  });
});

describe('what it cannot do is said', () => {
  const cases: readonly (readonly [string, () => Promise<Buffer>, RegExp, RegExp])[] = [
    ['a text', async () => Buffer.from('not a picture at all'), /This kind of file cannot be restored/, /not a JPEG/],
    [
      'CMYK',
      () =>
        sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } })
          .toColourspace('cmyk')
          .jpeg()
          .toBuffer(),
      /This kind of file cannot be restored/,
      /CMYK/,
    ],
    ['a cut-off file', async () => (await crop(64, 64)).buffer.subarray(0, 900), /incomplete/, /./],
    ['no bytes', async () => Buffer.alloc(0), /empty/, /./],
  ];

  it.each(cases)('of %s', async (_, make, title, detail) => {
    await page.getByTestId('on-device').check();
    await choose(page, { name: 'bad.png', mimeType: 'image/png', buffer: await make() });
    await page.getByTestId('error').waitFor();
    expect(await page.getByTestId('error-title').textContent()).toMatch(title);
    expect(await page.getByTestId('error-detail').textContent()).toMatch(detail);
    expect(await page.getByTestId('choose-other').isVisible()).toBe(true);
  });
});

describe('a new page', () => {
  let fresh: Page;

  beforeEach(async () => {
    ({ page: fresh } = await openPage(browser, server));
    await fresh.getByTestId('on-device').check();
  });

  afterEach(() => fresh.context().close());

  it('refuses a model that is not what its manifest says', async () => {
    const model = await readFile(`${inject('page')}/models/dhnet-edge/checkpoint.safetensors`);
    model[model.length >> 1]! ^= 1;
    await fresh.context().route('**/*.safetensors*', (route) => route.fulfill({ body: model }));
    await choose(fresh, await crop(32, 32));
    await fresh.getByTestId('error').waitFor();
    expect(await fresh.getByTestId('error-detail').textContent()).toBe('The model arrived damaged.');
  });

  it('fetches the model once and keeps it', async () => {
    await restoreOnDevice(await crop(32, 32), fresh);
    await fresh.reload();
    await restoreOnDevice(await crop(32, 32), fresh);
    expect(server.service.paths.filter((path) => path.endsWith('.safetensors'))).toHaveLength(1);
  });

  it('cancels, and works again afterwards', async () => {
    // The model never arrives: there is all the time to cancel.
    await fresh.context().route('**/*.safetensors*', () => undefined);
    await choose(fresh, await crop(32, 32));
    await fresh.getByTestId('working').waitFor();
    await fresh.getByTestId('cancel').click();
    await fresh.getByTestId('retry').waitFor();
    await fresh.context().unroute('**/*.safetensors*');
    await restoreOnDevice(await crop(32, 32), fresh);
  });
});
