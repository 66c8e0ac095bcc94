/** The packed and installed package against the service as `npm start` starts it: in Node, Chromium, workerd, as a command, in Python. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type * as Sdk from '../../sdk/client/index.ts';
import type * as Local from '../../sdk/local/index.ts';
import type * as Webhooks from '../../sdk/webhooks/index.ts';
import { freePort, root } from '../../scripts/lib/service.ts';
import { restoredBefore } from '../support/api.ts';
import { launchChromium } from '../support/chromium.ts';
import { decodeRgb, fixture } from '../support/images.ts';
import { addPackages, installPackedSdk, type PackedSdk } from '../support/packed-sdk.ts';
import { runProgram } from '../support/programs.ts';
import { startAsUser, type Started } from '../support/start.ts';

let sdk: PackedSdk;
let service: Started;
/** Its origin may be named by sources and webhooks. */
let site: { readonly server: Server; readonly origin: string };
const pages = new Map<string, { readonly type: string; readonly body: Buffer }>();
const hooks: { readonly headers: Headers; readonly body: string }[] = [];

beforeAll(async () => {
  const setup = spawnSync(process.execPath, [path.join(root, 'scripts/setup.mjs'), '--examples'], { stdio: 'inherit' });
  if (setup.status !== 0) throw new Error('the Python packages of the examples could not be installed');
  sdk = await installPackedSdk();
  await addPackages(sdk, 'standardwebhooks', 'onnxruntime-node', 'sharp');
  site = await listen();
  service = await startAsUser({ ALLOW_ORIGINS: site.origin, CORS_ORIGINS: site.origin });
});

afterAll(async () => {
  site.server.close();
  expect(await service.interrupt()).toBe(0);
  await rm(sdk.folder, { recursive: true });
});

/** Gives pages and pictures, and keeps what webhooks bring. */
async function listen(): Promise<typeof site> {
  const server = createServer(async (request, response) => {
    if (request.method === 'POST') {
      hooks.push({ headers: new Headers(request.headers as Record<string, string>), body: await text(request) });
      return response.writeHead(204).end();
    }
    const page = pages.get(request.url ?? '');
    if (page === undefined) return response.writeHead(404).end();
    return response.writeHead(200, { 'content-type': page.type }).end(page.body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const entry = <Module>(name: string): Promise<Module> =>
  import(pathToFileURL(path.join(sdk.folder, 'node_modules/deblur/dist/js', `${name}.js`)).href) as Promise<Module>;

/** Another part of the blurred street each time, so that each client has its own inference. */
function pictureAt(left: number, { width = 144, height = 112 } = {}): Promise<Buffer> {
  const crop = fixture('reds/blur.png').then((file) => sharp(file).extract({ left, top: 160, width, height }));
  return crop.then((picture) => picture.jpeg({ quality: 95 }).toBuffer());
}

it('Node: a picture, its events, its webhook and its file', async () => {
  const { Deblur } = await entry<typeof Sdk>('index');
  const { verifyWebhook, WebhookVerificationError } = await entry<typeof Webhooks>('webhooks');
  const client = new Deblur({ server: service.url, apiKey: 'any' });
  const picture = await pictureAt(0);
  const { bytes, type, url, metrics, prediction } = await client.deblur(picture, { format: 'webp' });
  expect(type).toBe('image/webp');
  expect(url).toBe(prediction.output);
  expect(metrics).toMatchObject({ megapixels: 0.016128, placement: 'edge' });
  expect(Buffer.from(bytes).equals(await restoredBefore(service.url, picture, '?format=webp'))).toBe(true);

  const file = await client.files.upload(picture, { name: 'street.jpg' });
  expect(file).toMatchObject({ name: 'street.jpg', content_type: 'image/jpeg', size: picture.length });
  const created = await client.predictions.create(file.id, { format: 'png', webhook: `${site.origin}/hook` });
  const events = await Array.fromAsync(client.predictions.events(created.id));
  expect(events.at(-1)).toMatchObject({ event: 'completed', prediction: { id: created.id, status: 'succeeded' } });
  const newest = await client.predictions.list().next();
  expect(newest.value).toMatchObject({ id: created.id });
  await client.files.delete(file.id);
  await expect(client.files.get(file.id)).rejects.toMatchObject({ code: 'not_found', status: 404 });

  const [hook] = await vi.waitUntil(() => hooks.length > 0 && hooks, 30_000);
  const { key } = (await (await fetch(`${service.url}/v1/webhooks/default/secret`)).json()) as { key: string };
  const old = `whsec_${Buffer.alloc(32).toString('base64')}`;
  const { event } = verifyWebhook(hook!.body, hook!.headers, [old, key]);
  expect(event).toMatchObject({ type: 'prediction.completed', id: created.id, status: 'succeeded' });
  expect(() => verifyWebhook(`${hook!.body} `, hook!.headers, key)).toThrow(WebhookVerificationError);
});

it('Node: failures have the codes of the service, and one create is one prediction', async () => {
  const { Deblur, DeblurError } = await entry<typeof Sdk>('index');
  const client = new Deblur({ server: service.url });
  const picture = await pictureAt(160);
  const cut = client.deblur(picture.subarray(0, picture.length >> 1));
  await expect(cut).rejects.toBeInstanceOf(DeblurError);
  await expect(cut).rejects.toMatchObject({ code: 'image_truncated' });
  await expect(client.deblur(picture, { quality: 101 })).rejects.toMatchObject({
    code: 'invalid_option',
    status: 422,
    fields: [{ field: 'quality' }],
  });
  const idempotencyKey = 'the same';
  const twice = [1, 2].map(() => client.predictions.create(picture, { idempotencyKey }));
  const [one, two] = await Promise.all(twice);
  expect(one!.id).toBe(two!.id);
  await expect(client.predictions.cancel(one!.id)).resolves.toMatchObject({ id: one!.id });
});

it('Chromium: a page of another origin', async () => {
  const picture = await pictureAt(320);
  for (const name of sdk.files.filter((file) => /^dist\/js\/\w+\.js$/.test(file))) {
    const body = await readFile(path.join(sdk.folder, 'node_modules/deblur', name));
    pages.set(`/${path.basename(name)}`, { type: 'text/javascript', body });
  }
  pages.set('/', { type: 'text/html', body: Buffer.from('<!doctype html><title>page</title>') });
  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    await page.goto(site.origin);
    await page.addScriptTag({ type: 'module', content: "globalThis.sdk = await import('/index.js')" });
    await page.waitForFunction(() => 'sdk' in globalThis);
    const result = await page.evaluate(
      async ({ server, data }) => {
        const { deblur } = (globalThis as unknown as { readonly sdk: typeof Sdk }).sdk;
        const { bytes, type } = await deblur(new Blob([new Uint8Array(data)]), { server, apiKey: 'any' });
        const cut = new Uint8Array(data.slice(0, data.length >> 1));
        const failure = await deblur(cut, { server }).catch((error: Sdk.DeblurError) => error.code);
        return { bytes: Array.from(bytes), type, failure };
      },
      { server: service.url, data: Array.from(picture) },
    );
    expect(Buffer.from(result.bytes).equals(await restoredBefore(service.url, picture))).toBe(true);
    expect(result).toMatchObject({ type: 'image/jpeg', failure: 'image_truncated' });
  } finally {
    await browser.close();
  }
});

it('workerd: a Worker that restores what it is sent', async () => {
  const port = await freePort();
  const files = {
    'worker.js': `
      import { deblur } from 'deblur';
      import { verifyWebhook } from 'deblur/webhooks';
      export default {
        async fetch(request, env) {
          if (new URL(request.url).pathname === '/ready') return new Response(typeof verifyWebhook);
          const { bytes, type } = await deblur(await request.arrayBuffer(), { server: env.SERVER, metadata: 'strip' });
          return new Response(bytes, { headers: { 'content-type': type } });
        },
      };`,
    'wrangler.toml': `
      name = "client"
      main = "worker.js"
      compatibility_date = "2026-11-01"
      vars = { SERVER = "${service.url}" }`,
  };
  for (const [name, content] of Object.entries(files)) await writeFile(path.join(sdk.folder, name), content);
  const worker = startWorker(port);
  try {
    const origin = `http://127.0.0.1:${port}`;
    const ready = await vi.waitUntil(() => fetch(`${origin}/ready`).catch(() => null), {
      timeout: 120_000,
      interval: 500,
    });
    expect(await ready.text()).toBe('function');
    const picture = await pictureAt(480);
    const response = await fetch(origin, { method: 'POST', body: new Uint8Array(picture) });
    const bytes = Buffer.from(await response.arrayBuffer());
    expect(response.headers.get('content-type')).toBe('image/jpeg');
    expect(bytes.equals(await restoredBefore(service.url, picture, '?metadata=strip'))).toBe(true);
  } finally {
    if (worker.exitCode === null) process.kill(-worker.pid!, 'SIGTERM');
  }
});

function startWorker(port: number): ChildProcess {
  const args = ['dev', '--ip', '127.0.0.1', '--port', String(port), '--inspector-port', '0', '--log-level', 'warn'];
  const wrangler = path.join(root, 'node_modules/wrangler/bin/wrangler.js');
  const env = { ...process.env, WRANGLER_SEND_METRICS: 'false', CLOUDFLARE_CF_FETCH_ENABLED: 'false' };
  const all = [wrangler, ...args, '--show-interactive-dev-session=false'];
  // A group of its own, so that wrangler and the workerd below it end together.
  return spawn(process.execPath, all, {
    cwd: sdk.folder,
    env,
    stdio: ['ignore', 'inherit', 'inherit'],
    detached: true,
  });
}

it('the command: files and an address, one line for each failure, and a second run that has nothing to do', async () => {
  const [a, b] = [await pictureAt(640), await pictureAt(800)];
  pages.set('/b.jpg', { type: 'image/jpeg', body: b });
  await writeFile(path.join(sdk.folder, 'a.jpg'), a);
  await writeFile(path.join(sdk.folder, 'broken.jpg'), a.subarray(0, a.length >> 1));
  const address = `${site.origin}/b.jpg`;
  const args = ['a.jpg', address, 'broken.jpg', `${site.origin}/gone.jpg`, '--out', 'out', '--server', service.url];
  const first = await runCommand(args);
  expect(first.code).toBe(1);
  expect(first.lines.map((line) => line.split(' (')[0]).sort()).toEqual([
    'a.jpg → out/a.jpg',
    `${address} → out/b.jpg`,
  ]);
  expect(first.complaints).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/^broken\.jpg: image_truncated: /),
      expect.stringMatching(/^http.*gone\.jpg: source_/),
      '2 restored, 0 skipped, 2 failed',
    ]),
  );
  for (const [name, picture] of [['a.jpg', a] as const, ['b.jpg', b] as const]) {
    const written = await readFile(path.join(sdk.folder, 'out', name));
    expect(written.equals(await restoredBefore(service.url, picture)), name).toBe(true);
  }
  const again = await runCommand(['a.jpg', address, '--out', 'out', '--server', service.url]);
  expect(again).toEqual({ code: 0, lines: [], complaints: ['0 restored, 2 skipped, 0 failed'] });
});

async function runCommand(args: readonly string[]) {
  const child = spawn(process.execPath, [sdk.command, ...args], { cwd: sdk.folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const [[code], stdout, stderr] = await Promise.all([
    once(child, 'close') as Promise<[number | null]>,
    text(child.stdout),
    text(child.stderr),
  ]);
  const linesOf = (output: string): string[] => output.split('\n').filter((line) => line !== '');
  return { code, lines: linesOf(stdout), complaints: linesOf(stderr) };
}

it('without a service the pixels are those of its runner', async () => {
  const { deblurLocally } = await entry<typeof Local>('local');
  const picture = await pictureAt(960, { width: 200, height: 120 });
  const { bytes } = await deblurLocally(picture, { format: 'png' });
  const body = new Uint8Array(picture);
  const response = await fetch(`${service.url}/v1/deblur?format=png&tile=192`, { method: 'POST', body });
  const [here, there] = [await decodeRgb(bytes), await decodeRgb(await response.bytes())];
  const far = here.data.filter((value, i) => Math.abs(value - there.data[i]!) > 1).length;
  expect(far / here.data.length).toBeLessThan(0.001);
});

it('Python: deblur-client restores, follows, lists and tells codes', async () => {
  const picture = await pictureAt(1100);
  await writeFile(path.join(sdk.folder, 'python.jpg'), picture);
  const script = `
from pathlib import Path
from deblur_client import Client, DeblurError

with Client() as client:
    source = Path("python.jpg")
    result = client.deblur(source, format="webp")
    Path("python.webp").write_bytes(result.data)
    file = client.upload(source)
    again = client.deblur(file["id"], format="webp")
    assert again.url == result.url and again.data == result.data
    assert next(client.list())["id"] == again.prediction["id"]
    assert client.cancel(again.prediction["id"])["status"] == "succeeded"
    try:
        client.deblur(source.read_bytes()[:1000])
    except DeblurError as error:
        print(result.type, error.code, error)
`;
  const env = {
    DEBLUR_URL: service.url,
    PYTHONPATH: path.join(root, 'sdk/python'),
    PYTHONDONTWRITEBYTECODE: '1',
  };
  const python = path.join(root, 'examples/.venv/bin/python');
  const told = await runProgram(python, ['-c', script], { cwd: sdk.folder, env });
  expect(told).toMatch(/^image\/webp image_truncated image_truncated: /);
  const written = await readFile(path.join(sdk.folder, 'python.webp'));
  expect(written.equals(await restoredBefore(service.url, picture, '?format=webp'))).toBe(true);
});
