/** A page under observation: whatever it complains of, and whatever leaves its origin, is written down. */
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { json, servePage, type PageServer } from './server.ts';

/** WebGPU on a processor: slow, but it is WebGPU. */
export const SOFTWARE_WEBGPU = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
] as const;

export const MODELS = {
  auto: 'dhnet-edge',
  models: [
    { name: 'dhnet', available: false, trained: false },
    { name: 'dhnet-edge', available: true, trained: true },
  ],
};

export async function startServer(folder: string): Promise<PageServer> {
  const server = await servePage(folder);
  server.service.models = json(MODELS);
  return server;
}

export interface ObservedPage {
  readonly page: Page;
  /** Console errors and warnings, uncaught errors, requests to elsewhere. */
  readonly complaints: string[];
}

export async function openPage(
  browser: Browser,
  { origin }: PageServer,
  options: BrowserContextOptions & { readonly path?: string } = {},
): Promise<ObservedPage> {
  const { path = '/', ...context } = options;
  const page = await browser.newPage({
    reducedMotion: 'reduce',
    locale: 'en-GB',
    serviceWorkers: 'block',
    viewport: { width: 1280, height: 800 },
    ...context,
  });
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    // Only the test of the offline page lets the service worker in.
    if (message.text().includes('Service Worker registration blocked by Playwright')) return;
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith('http') && url.origin !== origin) complaints.push(`left the origin: ${url.href}`);
  });
  await page.goto(origin + path);
  return { page, complaints };
}

export interface TestFile {
  readonly name: string;
  readonly mimeType: string;
  readonly buffer: Buffer;
}

export async function choose(page: Page, ...files: readonly TestFile[]): Promise<void> {
  await page.getByTestId('file-input').setInputFiles(files.map((file) => ({ ...file })));
}

/** The bytes and the name of the file that the download button gives. */
export async function download(page: Page): Promise<{ name: string; bytes: Buffer }> {
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByTestId('download').click()]);
  const chunks: Buffer[] = [];
  for await (const chunk of await file.createReadStream()) chunks.push(chunk as Buffer);
  return { name: file.suggestedFilename(), bytes: Buffer.concat(chunks) };
}

/** Waits until the selected photo has a result; a failure is thrown with its text. */
export async function finished(page: Page): Promise<void> {
  await page.locator('main[data-kind="done"], main[data-kind="failed"]').waitFor({ timeout: 110_000 });
  if ((await page.getByTestId('main').getAttribute('data-kind')) === 'done') return;
  const title = await page.getByTestId('error-title').textContent();
  const detail = await page
    .getByTestId('error-detail')
    .textContent({ timeout: 1000 })
    .catch(() => '');
  throw new Error(`${title}: ${detail}`);
}
