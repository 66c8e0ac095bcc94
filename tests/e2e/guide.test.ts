/** The main programs of docs/guide, each as its page has it, against the service as `npm start` starts it. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { freePort, root } from '../../scripts/lib/service.ts';
import { restoredBefore } from '../support/api.ts';
import { launchChromium } from '../support/chromium.ts';
import { fileIn } from '../support/code-blocks.ts';
import { fixture } from '../support/images.ts';
import { addPackages, installPackedSdk, type PackedSdk } from '../support/packed-sdk.ts';
import { runProgram } from '../support/programs.ts';
import { startAsUser, type Started } from '../support/start.ts';

let sdk: PackedSdk;
let service: Started;
let hookPort: number;
let sitePort: number;

beforeAll(async () => {
  const setup = spawnSync(process.execPath, [path.join(root, 'scripts/setup.mjs'), '--examples'], { stdio: 'inherit' });
  if (setup.status !== 0) throw new Error('the Python packages of the examples could not be installed');
  sdk = await installPackedSdk();
  await addPackages(sdk, 'standardwebhooks');
  [hookPort, sitePort] = await Promise.all([freePort(), freePort()]);
  const [hookOrigin, siteOrigin] = [hookPort, sitePort].map((port) => `http://127.0.0.1:${port}`);
  service = await startAsUser({ ALLOW_ORIGINS: hookOrigin!, CORS_ORIGINS: siteOrigin! });
  vi.stubEnv('DEBLUR_URL', service.url);
});

afterAll(async () => {
  vi.unstubAllEnvs();
  expect(await service.interrupt()).toBe(0);
  await rm(sdk.folder, { recursive: true });
});

function pictureAt(left: number): Promise<Buffer> {
  const crop = fixture('reds/blur.png').then((file) =>
    sharp(file).extract({ left, top: 400, width: 144, height: 112 }).jpeg({ quality: 95 }),
  );
  return crop.then((picture) => picture.toBuffer());
}

/** Puts a page's program beside the installed package. @returns its path */
async function install(document: string, file: string): Promise<string> {
  const target = path.join(sdk.folder, path.basename(file));
  await writeFile(target, fileIn(document, file));
  return target;
}

it('nextjs.md: the route handler restores a form, and answers what is no picture with 422', async () => {
  const route = await install('docs/guide/nextjs.md', 'app/api/deblur/route.ts');
  const { POST } = (await import(pathToFileURL(route).href)) as { POST: (request: Request) => Promise<Response> };
  const post = (file: Uint8Array<ArrayBuffer>): Promise<Response> => {
    const body = new FormData();
    body.set('picture', new File([file], 'street.jpg'));
    return POST(new Request('http://site.test/api/deblur', { method: 'POST', body }));
  };
  const picture = await pictureAt(0);
  const response = await post(new Uint8Array(picture));
  expect(response.headers.get('content-type')).toBe('image/webp');
  const restored = Buffer.from(await response.arrayBuffer());
  expect(restored.equals(await restoredBefore(service.url, picture, '?format=webp'))).toBe(true);
  const refused = await post(new TextEncoder().encode('no picture at all'));
  expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([422, 'unsupported_media_type']);
});

it('python.md: the script restores what it can and tells the rest', async () => {
  const script = await install('docs/guide/python.md', 'restore.py');
  const picture = await pictureAt(200);
  await writeFile(path.join(sdk.folder, 'a.jpg'), picture);
  const env = { DEBLUR_URL: service.url, PYTHONPATH: path.join(root, 'sdk/python'), PYTHONDONTWRITEBYTECODE: '1' };
  const python = path.join(root, 'examples/.venv/bin/python');
  const told = await runProgram(python, [script, 'a.jpg'], { cwd: sdk.folder, env });
  expect(told).toBe('a.jpg → a.restored.webp (0.02 MP)\n');
  const restored = await readFile(path.join(sdk.folder, 'a.restored.webp'));
  expect(restored.equals(await restoredBefore(service.url, picture, '?format=webp&quality=85'))).toBe(true);
});

it('webhooks.md: the receiver takes the message of the end, and refuses one that is not signed', async () => {
  const { key } = (await (await fetch(`${service.url}/v1/webhooks/default/secret`)).json()) as { key: string };
  const program = await install('docs/guide/webhooks.md', 'receiver.ts');
  const env = { ...process.env, WEBHOOK_SECRET: key, PORT: String(hookPort) };
  const receiver = spawn(process.execPath, [program], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const hook = `http://127.0.0.1:${hookPort}`;
    const post = (): Promise<Response | null> => fetch(hook, { method: 'POST', body: '{}' }).catch(() => null);
    expect((await vi.waitUntil(post, { timeout: 30_000, interval: 200 })).status).toBe(401);
    const lines = createInterface({ input: receiver.stdout })[Symbol.asyncIterator]();
    const body = new Uint8Array(await pictureAt(400));
    const created = await fetch(`${service.url}/v1/predictions?webhook=${hook}/`, { method: 'POST', body });
    const { id } = (await created.json()) as { id: string };
    expect((await lines.next()).value).toMatch(new RegExp(`^${id} succeeded http`));
  } finally {
    receiver.kill();
  }
});

it('browser.md: the page restores what is chosen', async () => {
  const page = fileIn('docs/guide/browser.md', 'page.html').replace('http://127.0.0.1:8787', service.url);
  await cp(path.join(sdk.folder, 'node_modules/deblur/dist/js'), path.join(sdk.folder, 'deblur'), { recursive: true });
  const site = createServer((request, response) => {
    if (request.url === '/') return response.writeHead(200, { 'content-type': 'text/html' }).end(page);
    return readFile(path.join(sdk.folder, path.normalize(request.url ?? ''))).then(
      (file) => response.writeHead(200, { 'content-type': 'text/javascript' }).end(file),
      () => response.writeHead(404).end(),
    );
  }).listen(sitePort, '127.0.0.1');
  await once(site, 'listening');
  const browser = await launchChromium();
  try {
    const tab = await browser.newPage();
    await tab.goto(`http://127.0.0.1:${sitePort}`);
    const picture = await pictureAt(600);
    await tab.getByLabel('Photograph').setInputFiles({ name: 'a.jpg', mimeType: 'image/jpeg', buffer: picture });
    await tab.getByText('Restored 0.016128 megapixels.').waitFor({ timeout: 120_000 });
    const shown = await tab.evaluate(async () =>
      Array.from(new Uint8Array(await (await fetch(document.images[0]!.src)).arrayBuffer())),
    );
    expect(Buffer.from(shown).equals(await restoredBefore(service.url, picture, '?format=webp'))).toBe(true);
    const buffer = Buffer.from('no picture');
    await tab.getByLabel('Photograph').setInputFiles({ name: 'b.jpg', mimeType: 'image/jpeg', buffer });
    await tab.getByText('JPEG').waitFor();
  } finally {
    await browser.close();
    site.close();
  }
});
