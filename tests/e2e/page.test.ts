import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { decodeRgb, fixture, psnr } from '../support/images.ts';
import { startAsUser, type Started } from '../support/start.ts';

const SCREENSHOTS = fileURLToPath(new URL('../../.deblur/screenshots', import.meta.url));

let service: Started;
let browser: Browser;
let page: Page;
let blurred: Buffer;
const complaints: string[] = [];

beforeAll(async () => {
  await mkdir(SCREENSHOTS, { recursive: true });
  [service, browser] = await Promise.all([startAsUser(), launchChromium()]);
  // A crop keeps a busy machine's wait short; the whole frame is restored in service.test.ts.
  blurred = await sharp(await fixture('reds/blur.png'))
    .extract({ left: 320, top: 160, width: 512, height: 384 })
    .png()
    .toBuffer();
  page = await browser.newPage({ locale: 'en-GB', viewport: { width: 1280, height: 800 } });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('request', (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol.startsWith('http') && origin !== service.url) complaints.push(`left the origin: ${request.url()}`);
  });
  await page.goto(service.url);
});

afterAll(async () => {
  await browser.close();
  expect(await service.interrupt()).toBe(0);
});

async function restoreInPage(): Promise<Buffer> {
  await page.getByTestId('file-input').setInputFiles({ name: 'street.png', mimeType: 'image/png', buffer: blurred });
  await page.locator('main[data-kind=done]').waitFor({ timeout: 120_000 });
  await page.getByTestId('slider').waitFor();
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByTestId('download').click()]);
  const chunks: Buffer[] = [];
  for await (const chunk of await download.createReadStream()) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

it('restores a chosen picture through the API and shows both under a slider', async () => {
  const restored = await decodeRgb(await restoreInPage());
  await page.screenshot({ path: path.join(SCREENSHOTS, 'page-slider.png') });
  const { left, top, width, height } = { left: 320, top: 160, width: 512, height: 384 };
  const truth = await decodeRgb(
    await sharp(await fixture('reds/sharp.png'))
      .extract({ left, top, width, height })
      .png()
      .toBuffer(),
  );
  expect(psnr(restored, truth)).toBeGreaterThan(psnr(await decodeRgb(blurred), truth));
  expect(await page.getByTestId('result-facts').innerText()).toContain('near you');
});

it('restores the same picture on the device, to the same pixels', async () => {
  const fromApi = await fetch(`${service.url}/v1/deblur?format=png`, { method: 'POST', body: new Uint8Array(blurred) });
  await page.getByRole('button', { name: 'Remove street.png' }).click();
  await page.getByTestId('on-device').check();
  const onDevice = await decodeRgb(await restoreInPage());
  await page.screenshot({ path: path.join(SCREENSHOTS, 'page-on-device.png') });
  const atEdge = await decodeRgb(Buffer.from(await fromApi.arrayBuffer()));
  const far = onDevice.data.reduce((count, value, i) => count + (Math.abs(value - atEdge.data[i]!) > 1 ? 1 : 0), 0);
  expect(far / onDevice.data.length).toBeLessThan(0.001);
});

it('never left its origin and never complained', () => {
  expect(complaints).toEqual([]);
});
