import { readFile } from 'node:fs/promises';
import { SYNC_UPLOAD_MAX_BYTES } from '@deblur/shared/limits.ts';
import sharp from 'sharp';
import { beforeEach, describe, expect, inject, it } from 'vitest';
import { browser, complaints, page, server, solid } from './support/observed-page.ts';
import { choose, download, finished, openPage, type TestFile } from './support/page.ts';
import { observeRestoringPages, photo, restored, restoredAnswer } from './support/photo.ts';
import { json, problem } from './support/server.ts';

observeRestoringPages();

const PREDICTION = '/v1/predictions/p4r3d1ct10n';
const RESULT = `/v1/results/${'a'.repeat(64)}`;
const BEFORE = [0x80, 0x40, 0x20];
const AFTER = [0x20, 0x80, 0x40];

/** The colour at a point of the frame, as it is painted. */
async function colourAt(fraction: number): Promise<readonly number[]> {
  const shot = await page.getByTestId('compare').screenshot();
  const { data, info } = await sharp(shot).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  // Off the middle line, where the handle is.
  const pixel = Math.floor(info.height * 0.3) * info.width + Math.floor(info.width * fraction);
  return [...data.subarray(pixel * 3, pixel * 3 + 3)];
}

const named = (name: string): TestFile => ({ ...photo, name });
const rows = (kind?: string) => page.locator(`[data-testid=row]${kind === undefined ? '' : `[data-kind=${kind}]`}`);

function prediction(status: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { id: 'p4r3d1ct10n', status, progress: { done: 0, total: 0 }, error: null, output: null, urls: {}, ...more };
}

/** The service answers uploads with a prediction that is still running. */
function acceptOnly(): void {
  server.service.deblur = () => ({ ...json(prediction('starting')), status: 202, headers: { Location: PREDICTION } });
  server.service.routes.set(`GET ${PREDICTION}`, [json(prediction('processing', { progress: { done: 2, total: 8 } }))]);
}

function succeed(): void {
  const headers = { 'Content-Type': 'image/png', 'X-Model': 'dhnet-b@0123456789ab', 'X-Placement': 'runner' };
  server.service.routes.set(`GET ${RESULT}`, [{ status: 200, headers, body: restored }]);
  const done = prediction('succeeded', { output: server.origin + RESULT, metrics: { cache: 'miss', scale: 3 } });
  server.service.routes.set(`GET ${PREDICTION}`, [json(done)]);
}

describe('photos come in', () => {
  it('by choice: the file is sent as it is, and the result lies under the slider', async () => {
    await choose(page, photo);
    await finished(page);
    const [upload, ...more] = server.service.uploads;
    expect(more).toEqual([]);
    expect(Buffer.from(upload!.body).equals(photo.buffer)).toBe(true);
    expect(upload!.headers).toMatchObject({ accept: 'image/*', 'content-type': 'image/png', prefer: 'respond-async' });
    expect(upload!.headers.authorization).toMatch(/^Bearer visitor_[\w-]{43}$/);
    expect(Object.fromEntries(upload!.query)).toEqual({ model: 'auto', format: 'auto', metadata: 'keep' });
    expect(await colourAt(0.25)).toEqual(BEFORE);
    expect(await colourAt(0.75)).toEqual(AFTER);
  });

  it('by dropping them anywhere, all of them', async () => {
    const transfer = await page.evaluateHandle(
      (bytes) => {
        const data = new DataTransfer();
        for (const name of ['one.png', 'two.png', 'notes.txt']) {
          const type = name.endsWith('.png') ? 'image/png' : 'text/plain';
          data.items.add(new File([Uint8Array.from(bytes)], name, { type }));
        }
        return data;
      },
      [...photo.buffer],
    );
    await page.dispatchEvent('footer', 'dragenter', { dataTransfer: transfer });
    expect(await page.locator('body').getAttribute('data-dragging')).toBe('');
    await page.dispatchEvent('footer', 'drop', { dataTransfer: transfer });
    await rows('done').nth(1).waitFor();
    expect(await rows().count()).toBe(2);
    expect(await page.locator('body').getAttribute('data-dragging')).toBeNull();
  });

  it('by pasting one', async () => {
    await page.evaluate(
      (bytes) => {
        const clipboardData = new DataTransfer();
        clipboardData.items.add(new File([Uint8Array.from(bytes)], 'pasted.png', { type: 'image/png' }));
        document.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
      },
      [...photo.buffer],
    );
    await finished(page);
    expect(await page.getByTestId('result-name').textContent()).toBe('pasted-deblurred.png');
  });

  it('and a file that is no photo is named instead of being ignored', async () => {
    await choose(page, { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('hello') });
    await page.getByText('There was no photo in that.').waitFor();
    expect(await rows().count()).toBe(0);
  });

  it('as an example without any upload', async () => {
    await page.getByTestId('example-street').click();
    await finished(page);
    expect(server.service.uploads).toEqual([]);
    expect(await page.locator('footer').innerText()).toMatch(/REDS.*CC BY 4\.0/);
  });

  it('in list of concrete types, so that Safari converts HEIC', async () => {
    const accept = await page.getByTestId('file-input').getAttribute('accept');
    expect(accept).toContain('image/heic');
    expect(accept).not.toContain('image/*');
  });
});

describe('several photos', () => {
  it('are restored two at a time, in the order in which they were chosen last to first', async () => {
    let open = 0;
    let most = 0;
    server.service.deblur = async () => {
      most = Math.max(most, ++open);
      await new Promise((resolve) => setTimeout(resolve, 150));
      open--;
      return restoredAnswer();
    };
    await choose(page, ...['a.png', 'b.png', 'c.png', 'd.png'].map(named));
    await rows('done').nth(3).waitFor();
    expect(most).toBe(2);
    expect(await page.getByTestId('list-count').textContent()).toBe('4 of 4 restored');
  });

  it('can be looked at one by one, added to, and removed', async () => {
    await choose(page, named('first.png'));
    await finished(page);
    await choose(page, named('second.png'));
    await rows('done').nth(1).waitFor();
    await page.getByRole('button', { name: /^first\.png/ }).click();
    expect(await page.getByTestId('result-name').textContent()).toBe('first-deblurred.png');
    await page.getByRole('button', { name: 'Remove first.png' }).click();
    expect(await rows().count()).toBe(1);
    expect(await page.getByTestId('result-name').textContent()).toBe('second-deblurred.png');
  });

  it('are downloaded as one ZIP, names that are alike told apart', async () => {
    await choose(page, named('same.png'), named('same.png'));
    await rows('done').nth(1).waitFor();
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByTestId('download-all').click()]);
    const chunks: Buffer[] = [];
    for await (const chunk of await file.createReadStream()) chunks.push(chunk as Buffer);
    const zip = Buffer.concat(chunks);
    expect(zip.subarray(0, 4).toString('latin1')).toBe('PK\u0003\u0004');
    for (const name of ['same-deblurred.png', 'same-deblurred (2).png']) expect(zip.includes(name)).toBe(true);
    expect(zip.includes(restored.subarray(40, 90))).toBe(true);
  });
});

describe('a reload', () => {
  it('keeps the list, the results, the selection and the settings', async () => {
    await page.getByTestId('format').selectOption('webp');
    await page.getByTestId('on-device').check();
    await page.getByTestId('on-device').uncheck();
    await choose(page, named('kept.png'));
    await finished(page);
    await page.reload();
    await finished(page);
    expect(await page.getByTestId('result-name').textContent()).toBe('kept-deblurred.png');
    expect(await page.getByTestId('format').inputValue()).toBe('webp');
    expect(server.service.uploads).toHaveLength(1);
    expect((await download(page)).bytes.equals(restored)).toBe(true);
  });

  it('remembers that nothing is to be uploaded', async () => {
    await page.getByTestId('on-device').check();
    await page.reload();
    expect(await page.getByTestId('on-device').isChecked()).toBe(true);
    expect(await page.getByTestId('privacy').textContent()).toContain('Nothing leaves this device.');
  });

  it('continues a prediction instead of sending the photo again', async () => {
    acceptOnly();
    await choose(page, photo);
    await page.getByText('Restoring, 25 %').first().waitFor();
    await page.reload();
    await page.getByText('Restoring, 25 %').first().waitFor();
    succeed();
    await finished(page);
    expect(server.service.uploads).toHaveLength(1);
  });

  it('is not needed for Back and Forward, which change the photo on the stage', async () => {
    await choose(page, named('one.png'));
    await finished(page);
    await choose(page, named('two.png'));
    await rows('done').nth(1).waitFor();
    await page.goBack();
    const shown = (): Promise<string | null> => page.getByTestId('result-name').textContent();
    await expect.poll(shown).toBe('one-deblurred.png');
    await page.goForward();
    await expect.poll(shown).toBe('two-deblurred.png');
  });
});

describe('progress', () => {
  it('is read from the event stream, tile by tile', async () => {
    const urls = { events: '/v1/streams/secret' };
    server.service.deblur = () => ({
      ...json(prediction('starting', { urls })),
      status: 202,
      headers: { Location: PREDICTION },
    });
    succeed();
    const event = (name: string, value: unknown): string => `event: ${name}\ndata: ${JSON.stringify(value)}\n\n`;
    const done = prediction('succeeded', { output: server.origin + RESULT, metrics: { cache: 'miss' } });
    const body =
      event('progress', prediction('processing', { progress: { done: 3, total: 4 } })) + event('completed', done);
    server.service.routes.set('GET /v1/streams/secret', [
      { status: 200, headers: { 'Content-Type': 'text/event-stream' }, body },
    ]);
    await choose(page, photo);
    await finished(page);
    expect(server.service.paths.filter((path) => path === PREDICTION)).toEqual([]);
    expect(await page.getByTestId('fact-model').textContent()).toContain('dhnet-b');
  });

  it('falls back to asking when the stream breaks, and survives lost answers', async () => {
    server.service.deblur = () => ({
      ...json(prediction('starting', { urls: { events: '/v1/streams/gone' } })),
      status: 202,
      headers: { Location: PREDICTION },
    });
    succeed();
    const [ready] = server.service.routes.get(`GET ${PREDICTION}`)!;
    const lost = problem(503, 'runner_unavailable', 'Later.');
    server.service.routes.set('GET /v1/streams/gone', [problem(404, 'not_found', 'Gone.')]);
    server.service.routes.set(`GET ${PREDICTION}`, [lost, lost, ready!]);
    await choose(page, photo);
    await finished(page);
    complaints.length = 0;
  });

  it('can be stopped, which cancels the prediction, and started again', async () => {
    acceptOnly();
    await choose(page, photo);
    await page.getByText('Restoring, 25 %').first().waitFor();
    await page.getByTestId('cancel').click();
    await page.getByTestId('retry').waitFor();
    await expect.poll(() => server.service.paths).toContain(`${PREDICTION}/cancel`);
    server.service.deblur = () => restoredAnswer();
    await page.getByTestId('retry').click();
    await finished(page);
    complaints.length = 0;
  });

  it('is promised before the work starts where the service has measured', async () => {
    const models = [{ name: 'dhnet-edge', available: true, seconds_per_megapixel: 400 }];
    server.service.models = json({ models });
    await page.reload();
    acceptOnly();
    server.service.routes.set(`GET ${PREDICTION}`, [json(prediction('starting'))]);
    await choose(page, photo);
    await page.getByText('about 23 s').waitFor();
  });

  it('names the wait of a full service and uploads again after it', async () => {
    const answers = [problem(503, 'runner_busy', 'Full.'), restoredAnswer()];
    answers[0] = { ...answers[0]!, headers: { ...answers[0]!.headers, 'Retry-After': '1' } };
    server.service.deblur = () => (answers.length > 1 ? answers.shift()! : answers[0]!);
    await choose(page, photo);
    await page.getByText('The service is full. Trying again in 1 s').first().waitFor();
    await finished(page);
    expect(server.service.uploads).toHaveLength(2);
    complaints.length = 0;
  });
});

describe('looking', () => {
  beforeEach(async () => {
    await choose(page, photo);
    await finished(page);
  });

  it('moves the slider by keyboard and by pointer', async () => {
    const slider = page.getByTestId('slider');
    await slider.focus();
    await page.keyboard.press('ArrowRight');
    expect(await slider.inputValue()).toBe('51');
    await page.keyboard.press('Shift+ArrowLeft');
    expect(await slider.inputValue()).toBe('41');
    expect(await slider.getAttribute('aria-valuetext')).toBe('59 % restored');
    const frame = (await page.getByTestId('compare').boundingBox())!;
    const y = frame.y + frame.height * 0.8;
    await page.mouse.move(frame.x + frame.width * 0.41, y);
    await page.mouse.down();
    await page.mouse.move(frame.x + frame.width * 0.2, y, { steps: 4 });
    await page.mouse.up();
    expect(Number(await slider.inputValue())).toBeCloseTo(20, 0);
    expect(await colourAt(0.1)).toEqual(BEFORE);
    expect(await colourAt(0.3)).toEqual(AFTER);
  });

  it('shows both side by side, the restored one alone, and the original while a button is held', async () => {
    await page.getByTestId('mode-side').click();
    expect([await colourAt(0.25), await colourAt(0.75)]).toEqual([BEFORE, AFTER]);
    await page.getByTestId('mode-single').click();
    expect([await colourAt(0.25), await colourAt(0.75)]).toEqual([AFTER, AFTER]);
    await page.getByTestId('hold').focus();
    await page.keyboard.down('Space');
    expect(await colourAt(0.75)).toEqual(BEFORE);
    await page.keyboard.up('Space');
    expect(await colourAt(0.75)).toEqual(AFTER);
  });

  it('shows a weaker restoration, and downloads it', async () => {
    await page.getByTestId('mode-single').click();
    await page.getByTestId('strength').fill('50');
    const half = BEFORE.map((value, channel) => Math.round((value + AFTER[channel]!) / 2));
    const shown = await colourAt(0.5);
    for (const [channel, value] of half.entries()) expect(Math.abs(shown[channel]! - value)).toBeLessThanOrEqual(1);
    const { data } = await sharp((await download(page)).bytes)
      .removeAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true });
    for (const [channel, value] of half.entries()) expect(Math.abs(data[channel]! - value)).toBeLessThanOrEqual(1);
  });

  it('lays the map of what changed over the picture', async () => {
    await page.getByTestId('mode-single').click();
    await page.getByTestId('map').check();
    await page.getByTestId('change-map').waitFor();
    await expect.poll(() => colourAt(0.5)).not.toEqual(AFTER);
  });
});

describe('zooming a large picture', () => {
  const bars = Buffer.from(
    '<svg width="3000" height="2000"><rect x="1500" width="1500" height="2000" fill="#fff"/></svg>',
  );

  beforeEach(async () => {
    const buffer = await sharp(bars).flatten({ background: '#000' }).png().toBuffer();
    server.service.deblur = () => restoredAnswer('miss', buffer);
    await choose(page, { ...photo, buffer });
    await finished(page);
    await page.getByTestId('mode-single').click();
  });

  it('goes to full size and back by keys, and moves by keys and the pointer', async () => {
    const frame = page.getByTestId('compare');
    await frame.focus();
    await page.keyboard.press('1');
    await expect.poll(() => page.getByTestId('zoom-percent').textContent()).toBe('100 %');
    expect(await colourAt(0.45)).toEqual([0, 0, 0]);
    for (let i = 0; i < 3; i++) await page.keyboard.press('ArrowRight');
    // 180 pixels to the right: the edge between black and white has moved 180 pixels to the left.
    expect(await colourAt(0.4)).toEqual([255, 255, 255]);
    const box = (await frame.boundingBox())!;
    await page.mouse.move(box.x + 60, box.y + box.height / 2);
    await page.mouse.down();
    await page.mouse.move(box.x + 260, box.y + box.height / 2, { steps: 4 });
    await page.mouse.up();
    expect(await colourAt(0.4)).toEqual([0, 0, 0]);
    await page.keyboard.press('0');
    expect(await page.getByTestId('zoom-fit').getAttribute('aria-pressed')).toBe('true');
  });

  it('works by wheel, double click and buttons, between 25 and 400 %', async () => {
    const percent = async (): Promise<number> =>
      Number.parseInt((await page.getByTestId('zoom-percent').textContent())!);
    const fitted = await percent();
    const box = (await page.getByTestId('compare').boundingBox())!;
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    await page.mouse.wheel(0, -400);
    await expect.poll(percent).toBeGreaterThan(fitted);
    await page.mouse.dblclick(box.x + box.width / 2, box.y + box.height / 2);
    await expect.poll(percent).toBe(fitted);
    for (let i = 0; i < 20; i++) await page.getByTestId('zoom-in').click();
    expect(await percent()).toBe(400);
  });
});

describe('a result', () => {
  it('is downloaded byte for byte, under the name of the photo', async () => {
    await choose(page, photo);
    await finished(page);
    const file = await download(page);
    expect(file.name).toBe('street corner-deblurred.png');
    expect(file.bytes.equals(restored)).toBe(true);
  });

  it('is linked without metadata and copied', async () => {
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await choose(page, photo);
    await finished(page);
    await page.getByTestId('link').click();
    await page.getByText('Copied.').waitFor();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(`${server.origin}/v1/results/abc`);
    expect(Object.fromEntries(server.service.uploads.at(-1)!.query)).toMatchObject({ metadata: 'strip' });
    await page.getByTestId('copy').click();
    await page.getByText('Copied', { exact: true }).waitFor();
  });

  it('is deleted from the service on request, and stays in the browser', async () => {
    server.service.routes.set('DELETE /v1/results/abc', [{ status: 204, headers: {}, body: '' }]);
    await choose(page, photo);
    await finished(page);
    await page.getByTestId('erase').click();
    await page.getByText('Deleted from the service').waitFor();
    expect(await page.getByTestId('link').isVisible()).toBe(false);
    expect((await download(page)).bytes.equals(restored)).toBe(true);
  });

  it('can be had again with other settings', async () => {
    await choose(page, photo);
    await finished(page);
    expect(await page.getByTestId('repeat').isVisible()).toBe(false);
    await page.getByTestId('format').selectOption('webp');
    await page.getByTestId('metadata').uncheck();
    await page.getByTestId('repeat').click();
    await finished(page);
    const query = Object.fromEntries(server.service.uploads[1]!.query);
    expect(query).toEqual({ model: 'auto', format: 'webp', metadata: 'strip' });
  });

  it('of best quality asks for the best model by name', async () => {
    server.service.models = json({
      models: [
        { name: 'dhnet-b', available: true },
        { name: 'dhnet-edge', available: true },
      ],
    });
    await page.reload();
    await page.getByTestId('quality-best').check();
    await choose(page, photo);
    await finished(page);
    expect(server.service.uploads[0]!.query.get('model')).toBe('dhnet-b');
  });

  it('comes with the request that makes the same by program', async () => {
    await choose(page, photo);
    await finished(page);
    await page.getByTestId('developers').locator('summary').click();
    const curl = await page.getByTestId('curl').innerText();
    expect(curl).toContain(`curl -fSL --data-binary '@street corner.png' '${server.origin}/v1/deblur?model=auto`);
    expect(curl).toContain("-o 'street corner-deblurred.png'");
  });

  it.each([
    ['already_sharp', 'This photo was sharp already'],
    ['beyond_model', 'The blur is stronger than this model can undo'],
  ])('says so when the service found the photo %s', async (outcome, words) => {
    acceptOnly();
    succeed();
    const metrics = { cache: 'miss', outcome, scale: 2 };
    const done = prediction('succeeded', { output: server.origin + RESULT, metrics });
    server.service.routes.set(`GET ${PREDICTION}`, [json(done)]);
    await choose(page, photo);
    await finished(page);
    const notes = await page.getByTestId('note').allInnerTexts();
    expect(notes.join(' ')).toContain(words);
    expect(notes.join(' ')).toContain('Restored at 1/2 of its size');
  });

  it('of a format that the browser cannot show as original is shown alone', async () => {
    const tiff = await sharp(photo.buffer).tiff().toBuffer();
    await choose(page, { name: 'scan.tiff', mimeType: 'image/tiff', buffer: tiff });
    await finished(page);
    await page.getByTestId('restored').waitFor();
    expect(await page.getByTestId('slider').isVisible()).toBe(false);
    expect(await page.getByText('cannot show the original').isVisible()).toBe(false);
    expect(await colourAt(0.1)).toEqual(AFTER);
  });
});

describe('a failure', () => {
  it('says what to do and offers the other place, with a reference', async () => {
    server.service.deblur = () => problem(415, 'unsupported_media_type', 'HEIC photos are not taken.');
    await choose(page, photo);
    await page.getByTestId('error').waitFor();
    expect(await page.getByTestId('error-title').textContent()).toBe('This kind of file cannot be restored');
    expect(await page.getByTestId('error-detail').textContent()).toBe('HEIC photos are not taken.');
    expect(await page.getByTestId('error-reference').textContent()).toBe('unsupported_media_type · req-1');
    expect(await page.getByTestId('retry').isVisible()).toBe(false);
    expect(await page.getByTestId('other-place').textContent()).toBe('Restore it on this device');
    complaints.length = 0;
  });

  it('that may pass offers another try', async () => {
    server.service.deblur = () => problem(502, 'runner_failed', 'It broke.');
    await choose(page, photo);
    await page.getByTestId('retry').waitFor();
    server.service.deblur = () => restoredAnswer();
    await page.getByTestId('retry').click();
    await finished(page);
    complaints.length = 0;
  });

  it('of a file above the limit is found before anything is sent', async () => {
    await page.evaluate((bytes) => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([new Uint8Array(bytes)], 'huge.png', { type: 'image/png' }));
      document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
    }, SYNC_UPLOAD_MAX_BYTES + 1);
    await page.getByTestId('error').waitFor();
    expect(await page.getByTestId('error-title').textContent()).toBe('The file is too large to upload');
    expect(server.service.uploads).toEqual([]);
    complaints.length = 0;
  });
});

it('speaks German to a German browser', async () => {
  const opened = await openPage(browser, server, { locale: 'de-DE' });
  expect(await opened.page.getByRole('heading', { level: 1 }).textContent()).toBe('Ein unscharfes Foto scharf machen');
  expect(await opened.page.locator('html').getAttribute('lang')).toBe('de');
  await opened.page.context().close();
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
  expect(server.service.paths.filter((path) => /ort-|worker|models\/|\.wasm/.test(path))).toEqual([]);
});

describe('offline', () => {
  it('opens again after one visit, with the list and the examples', async () => {
    const opened = await openPage(browser, server, { serviceWorkers: 'allow' });
    await opened.page.evaluate(async () => {
      await navigator.serviceWorker.ready;
    });
    await opened.page.context().setOffline(true);
    await opened.page.reload();
    await opened.page.getByTestId('example-street').click();
    await finished(opened.page);
    await opened.page.context().close();
  });
});

describe.each(['light', 'dark'] as const)('in the %s scheme', (colorScheme) => {
  it.each([390, 1440])('fits a window of %i pixels in every state, without findings of axe', async (width) => {
    const opened = await openPage(browser, server, { colorScheme, viewport: { width, height: 844 } });
    const axe = await readFile(new URL(import.meta.resolve('axe-core/axe.min.js')), 'utf8');
    const check = async (state: string): Promise<void> => {
      await opened.page.evaluate(axe);
      const findings = await opened.page.evaluate(async () => {
        const { violations } = await (
          globalThis as unknown as {
            axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
          }
        ).axe.run();
        return violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`);
      });
      expect(findings, state).toEqual([]);
      const fits = await opened.page.evaluate(
        () => document.documentElement.scrollWidth <= document.documentElement.clientWidth,
      );
      expect(fits, state).toBe(true);
    };
    await check('idle');
    await choose(opened.page, named(`${'a-very-long-name-'.repeat(12)}.png`));
    await finished(opened.page);
    await check('done');
    await opened.page.getByTestId('mode-side').click();
    await check('side by side');
    server.service.deblur = () => problem(422, 'image_truncated', 'x'.repeat(300));
    await choose(opened.page, await solidFile());
    await opened.page.getByTestId('error').waitFor();
    await check('failed');
    acceptOnly();
    await choose(opened.page, await solidFile());
    await opened.page.getByText('Restoring, 25 %').first().waitFor();
    await check('working');
    await opened.page.context().close();
  });
});

const solidFile = async (): Promise<TestFile> => ({ ...photo, buffer: await solid(60, 40, '#123456') });

it('fetches the page with all that it promises', async () => {
  for (const path of [
    'robots.txt',
    'manifest.webmanifest',
    'icon-180.png',
    'icon-512.png',
    'social-card.jpg',
    'sw.js',
    '404.html',
    'privacy.html',
  ]) {
    expect((await readFile(`${inject('page')}/${path}`)).length, path).toBeGreaterThan(0);
  }
});
