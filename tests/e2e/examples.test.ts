/** What examples/ shows, run as its README says, against the service as `npm start` starts it. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Prediction, PredictionList } from '@deblur/shared/protocol/prediction.ts';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort, root } from '../../scripts/lib/service.ts';
import { restoredBefore } from '../support/api.ts';
import { launchChromium } from '../support/chromium.ts';
import { fixture } from '../support/images.ts';
import { needProgram, runProgram } from '../support/programs.ts';
import { startAsUser, type Started } from '../support/start.ts';

const examples = path.join(root, 'examples');
const python = path.join(examples, '.venv/bin/python');

let service: Started;
let folder: string;
let hookOrigins: readonly string[];
let sitePort: number;

beforeAll(async () => {
  const setup = spawnSync(process.execPath, [path.join(root, 'scripts/setup.mjs'), '--examples'], { stdio: 'inherit' });
  if (setup.status !== 0) throw new Error('the Python packages of the examples could not be installed');
  hookOrigins = (await Promise.all([freePort(), freePort()])).map((port) => `http://127.0.0.1:${port}`);
  folder = await mkdtemp(path.join(tmpdir(), 'deblur-examples-'));
  sitePort = await freePort();
  service = await startAsUser({ ALLOW_ORIGINS: hookOrigins.join(','), CORS_ORIGINS: `http://127.0.0.1:${sitePort}` });
});

afterAll(async () => {
  expect(await service.interrupt()).toBe(0);
  await rm(folder, { recursive: true });
});

/** Another part of the blurred street each time, so that each example has its own inference. */
async function write(name: string, left: number, { width = 288, height = 208 } = {}): Promise<Buffer> {
  const crop = sharp(await fixture('reds/blur.png')).extract({ left, top: 160, width, height });
  const picture = await crop.toFormat(name.endsWith('.png') ? 'png' : 'jpeg', { quality: 95 }).toBuffer();
  await writeFile(path.join(folder, name), picture);
  return picture;
}

function run(command: string, args: readonly string[], env: Record<string, string> = {}): Promise<string> {
  return runProgram(command, args, {
    cwd: folder,
    env: { DEBLUR_URL: service.url, DEBLUR_API_KEY: 'any', ...env },
  });
}

const written = (name: string): Promise<Buffer> => readFile(path.join(folder, name));

async function sizeAndFormat(file: Buffer): Promise<[number, number, string | undefined]> {
  const { width, height, mediaType } = await sharp(file).metadata();
  return [width, height, mediaType];
}

it('curl, that chooses, follows and asks again', async () => {
  const picture = await write('curl.jpg', 0);
  needProgram('curl');
  const told = await run('sh', [path.join(examples, 'curl.sh'), 'curl.jpg']);
  expect(told.match(/^(\d{3} |event|again).*/gm)).toEqual([
    '200 image/jpeg, placement edge, cache miss',
    '200 image/webp, placement edge, cache hit',
    expect.stringMatching(/^200 image\/avif, placement (edge|runner), cache hit$/),
    'event: completed',
    'again: 304, 0 bytes',
  ]);
  for (const [name, type, query] of [
    ['restored', 'image/jpeg', ''],
    ['restored.webp', 'image/webp', '?format=webp&quality=80&metadata=strip'],
    ['restored.avif', 'image/avif', '?format=avif'],
    ['restored.png', 'image/png', '?format=png'],
  ] as const) {
    const file = await written(name);
    expect(await sizeAndFormat(file)).toEqual([288, 208, type]);
    expect(file.equals(await restoredBefore(service.url, picture, query)), name).toBe(true);
  }
});

it('the client of Replicate, with files and a webhook', async () => {
  const picture = await write('replicate.jpg', 300);
  const hook = `${hookOrigins[0]}/hook`;
  const told = await run('node', [path.join(examples, 'replicate.mjs'), 'replicate.jpg'], { WEBHOOK_URL: hook });
  expect(told).toMatch(/^prediction\.completed \w{26} succeeded$/m);
  for (const [name, type, query] of [
    ['restored.webp', 'image/webp', '?format=webp&quality=80'],
    ['restored.png', 'image/png', '?format=png'],
    ['restored.jpg', 'image/jpeg', '?format=jpeg'],
  ] as const) {
    expect(told).toContain(`${name}: ${type} from ${service.url}/v1/results/`);
    expect((await written(name)).equals(await restoredBefore(service.url, picture, query)), name).toBe(true);
  }
});

it('a webhook receiver', async () => {
  const picture = await write('hook.png', 600);
  const hook = hookOrigins[1] ?? '';
  const { key } = (await (await fetch(`${service.url}/v1/webhooks/default/secret`)).json()) as { key: string };
  const receiver = spawn('node', [path.join(examples, 'webhook-receiver.ts')], {
    env: { ...process.env, WEBHOOK_SECRET: key, PORT: new URL(hook).port },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const lines = createInterface({ input: receiver.stdout })[Symbol.asyncIterator]();
    expect((await lines.next()).value).toContain('listening');
    const created = await fetch(`${service.url}/v1/predictions?webhook=${hook}/`, {
      method: 'POST',
      body: new Uint8Array(picture),
    });
    const { id } = (await created.json()) as Prediction;
    const [type, ofId, status, output = ''] = String((await lines.next()).value).split(' ');
    expect([type, ofId, status]).toEqual(['prediction.completed', id, 'succeeded']);
    const result = Buffer.from(await (await fetch(output)).arrayBuffer());
    expect(result.equals(await restoredBefore(service.url, picture))).toBe(true);
  } finally {
    receiver.kill();
  }
});

it('a browser, from another origin', async () => {
  // Above the edge's limit, so that there are tiles to tell of.
  const picture = await write('browser.jpg', 0, { width: 1280, height: 560 });
  const large = await sharp(picture).resize({ height: 840, width: 1280, fit: 'fill' }).jpeg().toBuffer();
  const site = await listen(
    createServer((_, response) => {
      readFile(path.join(examples, 'browser.html')).then((page) =>
        response.writeHead(200, { 'content-type': 'text/html' }).end(page),
      );
    }),
    sitePort,
  );
  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    const complaints: string[] = [];
    page.on('pageerror', ({ message }) => complaints.push(message));
    await page.goto(`${site.origin}/browser.html`);
    await page.getByLabel('Service').fill(service.url);
    await page.getByLabel('API key').fill('any');
    await page.getByLabel('Picture').setInputFiles({ name: 'large.jpg', mimeType: 'image/jpeg', buffer: large });
    const [seen] = await Promise.all([
      page.evaluate(progressUntilPicture),
      page.getByRole('button', { name: 'Restore' }).click(),
    ]);
    expect(await page.getByRole('status').textContent()).toMatch(/^1\.0752 megapixels, [\d.]+ s, runner$/);
    expect(seen.some((share) => share > 0 && share < 1)).toBe(true);
    expect([...seen].sort((a, b) => a - b)).toEqual(seen);
    const shown = await page.evaluate(async () => {
      const { src, naturalWidth, naturalHeight } = document.images[0] as HTMLImageElement;
      const bytes = new Uint8Array(await (await fetch(src)).arrayBuffer());
      return { size: [naturalWidth, naturalHeight], bytes: Array.from(bytes) };
    });
    expect(shown.size).toEqual([1280, 840]);
    expect(Buffer.from(shown.bytes).equals(await restoredBefore(service.url, large, '?format=webp'))).toBe(true);
    expect(complaints).toEqual([]);
  } finally {
    await browser.close();
    site.server.close();
  }
});

/** In the page: what the progress bar showed until the picture was there. */
function progressUntilPicture(): Promise<number[]> {
  const bar = document.querySelector('progress') as HTMLProgressElement;
  const image = document.querySelector('img') as HTMLImageElement;
  const seen: number[] = [];
  new MutationObserver(() => seen.push(bar.position)).observe(bar, { attributeFilter: ['value', 'max'] });
  return new Promise((resolve) => image.addEventListener('load', () => resolve(seen)));
}

it('requests, through a network that loses an answer and a service that is busy', async () => {
  const picture = await write('requests.png', 100);
  const before = await predictionIds();
  const creates: (string | null)[] = [];
  const network = await listen(
    forward(async (request, passOn) => {
      if (request.method !== 'POST') return passOn();
      creates.push(request.headers.get('idempotency-key'));
      if (creates.length === 1) return new Response(null, { status: 429, headers: { 'retry-after': '1' } });
      // It came through, and its answer is lost.
      if (creates.length === 2) return void (await passOn());
      return passOn();
    }),
  );
  try {
    const script = path.join(examples, 'python_requests.py');
    const told = await run(python, [script, 'requests.png', 'requests.restored.png'], { DEBLUR_URL: network.origin });
    expect(told).toMatch(/^requests\.restored\.png image\/png /m);
  } finally {
    network.server.close();
  }
  expect(creates).toHaveLength(3);
  expect(new Set(creates).size).toBe(1);
  expect(creates[0]).toMatch(/^[0-9a-f-]{36}$/);
  expect(await predictionIds()).toHaveLength(before.length + 1);
  const restored = await written('requests.restored.png');
  expect(restored.equals(await restoredBefore(service.url, picture, '?metadata=strip'))).toBe(true);
});

it('httpx, with several pictures, one of them broken, through the same', async () => {
  const names = ['a.jpg', 'b.png', 'c.jpg'];
  const pictures = await Promise.all(names.map((name, i) => write(name, 50 + 200 * i)));
  await writeFile(path.join(folder, 'broken.jpg'), pictures[0]!.subarray(0, pictures[0]!.length >> 1));
  const before = await predictionIds();
  const keys: (string | null)[] = [];
  const network = await listen(
    forward(async (request, passOn) => {
      if (request.method !== 'POST') return passOn();
      keys.push(request.headers.get('idempotency-key'));
      if (keys.length <= 2) return new Response(null, { status: 503, headers: { 'retry-after': '1' } });
      if (keys.length === 3) return void (await passOn());
      return passOn();
    }),
  );
  try {
    const args = [path.join(examples, 'python_httpx.py'), ...names, 'broken.jpg'];
    await expect(run(python, args, { DEBLUR_URL: network.origin })).rejects.toThrow('broken.jpg: image_truncated: ');
  } finally {
    network.server.close();
  }
  expect(keys).toHaveLength(7);
  expect(new Set(keys).size).toBe(4);
  expect(await predictionIds()).toHaveLength(before.length + 4);
  for (const [i, name] of names.entries()) {
    const restored = await written(name.replace('.', '.restored.'));
    expect(restored.equals(await restoredBefore(service.url, pictures[i]!)), name).toBe(true);
  }
});

it('each has its line in examples/README.md', async () => {
  const readme = await readFile(path.join(examples, 'README.md'), 'utf8');
  const files = (await readdir(examples)).filter((name) => /\.(sh|mjs|ts|py|html)$/.test(name));
  expect(files).toHaveLength(6);
  const rows = readme.split('\n').filter((line) => line.startsWith('| ['));
  expect(rows.map((row) => /^\| \[(.+?)\]\(\1\)/.exec(row)?.[1]).sort()).toEqual(files.sort());
});

async function predictionIds(): Promise<string[]> {
  const { results } = (await (await fetch(`${service.url}/v1/predictions`)).json()) as PredictionList;
  return results.map(({ id }) => id);
}

async function listen(server: Server, port = 0): Promise<{ readonly server: Server; readonly origin: string }> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return { server, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const OF_THE_CONNECTION = ['host', 'connection', 'content-length', 'accept-encoding'];

/** Between a program and the service. What is answered undefined is a connection that breaks. */
function forward(judge: (request: Request, passOn: () => Promise<Response>) => Promise<Response | undefined>): Server {
  return createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', async () => {
      const { method = 'GET', url = '/' } = incoming;
      const headers = new Headers();
      for (const [name, value] of Object.entries(incoming.headers)) {
        if (!OF_THE_CONNECTION.includes(name)) headers.set(name, String(value));
      }
      headers.set('accept-encoding', 'identity');
      const sent = method === 'POST' ? Buffer.concat(chunks) : null;
      const request = new Request(`${service.url}${url}`, { method, headers, body: sent });
      const response = await judge(request, () => fetch(request));
      if (response === undefined) return outgoing.destroy();
      const body = Buffer.from(await response.arrayBuffer());
      outgoing.writeHead(response.status, { ...Object.fromEntries(response.headers), 'content-length': body.length });
      outgoing.end(body);
    });
  });
}
