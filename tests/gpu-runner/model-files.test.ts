/** Models that are fetched, over real sockets: whole, right, resumed, guarded; and several within a budget of memory. */
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RequestedProvider } from '../../gpu-runner/config.ts';
import { HttpClient } from '../../gpu-runner/transfers/http-client.ts';
import { downloadFile } from '../../gpu-runner/models/model-download.ts';
import { ModelFiles } from '../../gpu-runner/models/model-files.ts';
import { usableVariants, variantFor } from '../../gpu-runner/models/variants.ts';
import { dataUri, gradientPng } from './support/images.ts';
import { readManifest } from './support/network.ts';
import { startReceiver, type Receiver } from './support/receiver.ts';
import { MODEL_DIR, startServer, until } from './support/runner.ts';

const log = { info: () => undefined, error: () => undefined };
const content = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 7919) & 255));
const sha256 = createHash('sha256').update(content).digest('hex');

let receiver: Receiver;
let http: HttpClient;
let dir: string;
beforeAll(async () => {
  receiver = await startReceiver();
  http = new HttpClient({ allowOrigins: [receiver.origin] });
});
afterAll(async () => {
  await http.close();
  await receiver.close();
});
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'deblur-models-'));
  receiver.sources.clear();
});
afterEach(() => rm(dir, { recursive: true }));

const file = (): string => path.join(dir, 'm/model.onnx');
const fetchFile = (name = '/model.onnx'): Promise<void> =>
  downloadFile({ url: receiver.origin + name, path: file(), sha256, bytes: content.length }, http);
const rangeOf = (response: ServerResponse): number =>
  Number(/^bytes=(\d+)-$/.exec(response.req.headers.range ?? 'bytes=0-')?.[1]);

/** As any store answers: the rest from the offset that is asked for. */
function serveRange(response: ServerResponse, body = content): void {
  const from = rangeOf(response);
  const headers = { 'content-range': `bytes ${from}-${body.length - 1}/${body.length}` };
  response.writeHead(from > 0 ? 206 : 200, from > 0 ? headers : {}).end(body.subarray(from));
}

it('goes on where the line broke', async () => {
  const ranges: number[] = [];
  receiver.sources.set('/model.onnx', (response) => {
    ranges.push(rangeOf(response));
    if (ranges.length > 2) return serveRange(response);
    const from = rangeOf(response);
    const range = `bytes ${from}-${content.length - 1}/${content.length}`;
    response.writeHead(from > 0 ? 206 : 200, { 'content-range': range, 'content-length': content.length - from });
    response.write(content.subarray(from, from + 50_000));
    // Only what has reached the disk is not asked for again.
    const part = `${file()}.${sha256.slice(0, 16)}.part`;
    const size = async (): Promise<number> => (await stat(part).catch(() => ({ size: 0 }))).size;
    void until(async () => (await size()) === from + 50_000).then(() => response.destroy());
  });
  await fetchFile();
  expect((await readFile(file())).equals(content)).toBe(true);
  expect(ranges).toEqual([0, 50_000, 100_000]);
  expect(await readdir(path.dirname(file()))).toEqual(['model.onnx']);
});

it('goes on where another process stopped', async () => {
  await mkdir(path.dirname(file()));
  await writeFile(`${file()}.${sha256.slice(0, 16)}.part`, content.subarray(0, 123_456));
  const ranges: number[] = [];
  receiver.sources.set('/model.onnx', (response) => {
    ranges.push(rangeOf(response));
    serveRange(response);
  });
  await fetchFile();
  expect(ranges).toEqual([123_456]);
  expect((await readFile(file())).equals(content)).toBe(true);
});

it('begins anew where the source knows no ranges, or has something else', async () => {
  await mkdir(path.dirname(file()));
  await writeFile(`${file()}.${sha256.slice(0, 16)}.part`, Buffer.alloc(1000, 1));
  receiver.sources.set('/model.onnx', content);
  await fetchFile();
  expect((await readFile(file())).equals(content)).toBe(true);

  await rm(file());
  await writeFile(`${file()}.${sha256.slice(0, 16)}.part`, Buffer.alloc(1000, 1));
  receiver.sources.set('/model.onnx', serveRange);
  await fetchFile();
  expect((await readFile(file())).equals(content)).toBe(true);
});

it('follows redirects, and none to where it may not go', async () => {
  receiver.sources.set('/model.onnx', serveRange);
  receiver.sources.set('/moved', (response) => void response.writeHead(302, { location: '/model.onnx' }).end());
  receiver.sources.set(
    '/away',
    (response) => void response.writeHead(302, { location: 'https://169.254.169.254/' }).end(),
  );
  await fetchFile('/moved');
  await rm(file());
  await expect(fetchFile('/away')).rejects.toMatchObject({ code: 'forbidden' });
});

it('leaves nothing under the name of a file that is not the right one', async () => {
  receiver.sources.set('/longer', Buffer.concat([content, Buffer.of(1)]));
  await expect(fetchFile('/longer')).rejects.toThrow('longer than the manifest says');
  await expect(fetchFile('/missing')).rejects.toThrow('status 404');
  expect((await readdir(path.dirname(file()))).filter((name) => name === 'model.onnx')).toEqual([]);
});

it("keeps several processes out of each other's way", async () => {
  receiver.sources.set('/model.onnx', serveRange);
  await Promise.allSettled([fetchFile(), fetchFile(), fetchFile()]);
  expect((await readFile(file())).equals(content)).toBe(true);
});

/** The real model, split: its manifest and its files on the receiver. */
async function offerRemotely(): Promise<string> {
  const manifest = await readManifest();
  for (const { file: name } of manifest.variants) {
    const bytes = await readFile(path.join(MODEL_DIR, 'dhnet-edge', name));
    receiver.sources.set(`/models/${name}`, (response) => serveRange(response, bytes));
  }
  const text = Buffer.from(JSON.stringify(manifest));
  receiver.sources.set('/models/manifest.json', text);
  return `${receiver.origin}/models/manifest.json`;
}

it("serves a model of which it had only the manifest's URL, and fetches it once", async () => {
  const url = await offerRemotely();
  const models = path.join(dir, 'models');
  await mkdir(models);
  const env = {
    MODEL_DIR: models,
    MODEL_CACHE_DIR: path.join(dir, 'cache'),
    MODEL_MANIFESTS: url,
    MODEL_ORIGINS: receiver.origin,
    ENVIRONMENT: 'production',
  };
  const first = await startServer(env);
  const { body } = await first.call('POST', '/predictions', { input: { image: dataUri(await gradientPng(20, 20)) } });
  expect(body).toMatchObject({ status: 'succeeded', model: 'dhnet-edge', version: (await readManifest()).version });
  expect(first.lines.filter(({ event }) => event === 'model_download')).toHaveLength(2);
  await first.stop();
  const second = await startServer(env);
  expect((await second.health()).status).toBe('READY');
  expect(second.lines.filter(({ event }) => event === 'model_download')).toHaveLength(0);
  await second.stop();

  const distrustful = await startServer({ ...env, MODEL_ORIGINS: '' });
  const { status, setup } = await distrustful.health();
  expect(status).toBe('SETUP_FAILED');
  expect(setup.logs).toMatch(/^MODEL_MANIFESTS: 127\.0\.0\.1:\d+ gave no valid manifest$/);
  await distrustful.stop();
});

describe('a model with external data', () => {
  /** Of a model whose graphs both refer to one file of weights; `served` answers for that file. */
  async function load(
    served: Buffer | ((response: ServerResponse) => void),
  ): Promise<{ graph: string; fetched: string[] }> {
    await offerRemotely();
    const manifest = await readManifest();
    receiver.sources.set('/models/weights.bin', served);
    const weights = {
      file: 'weights.bin',
      sha256,
      bytes: content.length,
      url: `${receiver.origin}/models/weights.bin`,
    };
    const variants = manifest.variants.map((variant) => ({
      ...variant,
      url: `${receiver.origin}/models/${variant.file}`,
      external_data: [weights],
    }));
    await mkdir(path.join(dir, 'models/dhnet-edge'), { recursive: true });
    await writeFile(path.join(dir, 'models/dhnet-edge/manifest.json'), JSON.stringify({ ...manifest, variants }));
    const fetched: string[] = [];
    const files = await ModelFiles.load({
      dir: path.join(dir, 'models'),
      cacheDir: path.join(dir, 'cache'),
      manifestUrls: [],
      wanted: (model) => usableVariants(model, 'cpu'),
      http,
      log: { ...log, info: (_, { file: name } = {}) => void fetched.push(String(name)) },
    });
    return { graph: files.path(files.offered()[0]!.variants[0]!), fetched };
  }
  const cached = async (): Promise<string> => path.join(dir, 'cache/dhnet-edge', (await readManifest()).version);
  const names = ['dhnet-edge.float32.onnx', 'dhnet-edge.uint8.onnx', 'weights.bin'];

  it('is fetched as a whole, each file once, and found again', async () => {
    const { graph, fetched } = await load(serveRange);
    expect(path.dirname(graph)).toBe(await cached());
    expect(await readdir(await cached())).toEqual(names);
    expect(fetched.sort()).toEqual(names);
    expect((await load(Buffer.alloc(0))).fetched).toEqual([]);
  });

  it('goes on with what an interrupted start left', async () => {
    await mkdir(await cached(), { recursive: true });
    const part = `weights.bin.${sha256.slice(0, 16)}.part`;
    await writeFile(path.join(await cached(), part), content.subarray(0, 70_000));
    const ranges: number[] = [];
    await load((response) => {
      ranges.push(rangeOf(response));
      serveRange(response);
    });
    expect(ranges).toEqual([70_000]);
    expect(await readdir(await cached())).toEqual(names);
  });

  const changed = Buffer.from(content);
  changed[changed.length >> 1]! ^= 1;
  it.each([
    ['other bytes', changed, "its source's sha256 is not the manifest's"],
    ['more bytes', Buffer.concat([content, content]), 'its source is longer than the manifest says'],
    [
      'nothing',
      (response: ServerResponse) => void response.writeHead(403).end(),
      'its source answered with status 403',
    ],
  ])('is not taken when its source has %s, and the message says which file', async (_, served, reason) => {
    await expect(load(served)).rejects.toThrow(`model dhnet-edge: weights.bin could not be fetched: ${reason}`);
    expect(await readdir(await cached())).not.toContain('weights.bin');
  });

  it('is not taken when what lies there is not whole', async () => {
    await load(serveRange);
    await writeFile(path.join(await cached(), 'weights.bin'), content.subarray(0, 5));
    await expect(load(serveRange)).rejects.toThrow('weights.bin has 5 bytes, and its manifest says 200000');
  });
});

it('runs in float16 on GPUs only, whatever else the model has, and fetches no more than it may run', async () => {
  const shipped = await readManifest();
  const halves = shipped.variants.map((variant) => ({
    ...variant,
    id: `${variant.input.type}-float16` as const,
    dtype: 'float16' as const,
  }));
  const both = { ...shipped, variants: [...halves, ...shipped.variants] };
  const onlyHalf = { ...shipped, variants: halves };
  const idsFor = (provider: RequestedProvider): string[] => usableVariants(both, provider).map(({ id }) => id);
  expect(idsFor('cpu')).toEqual(['uint8', 'float32']);
  expect(idsFor('cuda')).toEqual(['uint8-float16', 'float32-float16']);
  expect(idsFor('auto')).toEqual(['uint8-float16', 'float32-float16', 'uint8', 'float32']);
  expect(usableVariants(onlyHalf, 'cpu')).toEqual([]);
  for (const samples of ['uint8', 'float32'] as const) {
    expect(variantFor(both, samples, 'cpu').id).toBe(samples);
    expect(variantFor(both, samples, 'cuda').id).toBe(`${samples}-float16`);
    expect(variantFor(both, samples, 'tensorrt').id).toBe(`${samples}-float16`);
    expect(variantFor(shipped, samples, 'cuda').id).toBe(samples);
    expect(() => variantFor(onlyHalf, samples, 'cpu')).toThrow(
      `dhnet-edge has no variant that takes ${samples} on cpu`,
    );
  }
});

it('closes the sessions that were used longest ago when memory is short, and opens them again', async () => {
  const models = path.join(dir, 'models');
  for (const name of ['dhnet-edge', 'dhnet']) {
    await cp(path.join(MODEL_DIR, 'dhnet-edge'), path.join(models, name), { recursive: true });
  }
  const manifest = { ...(await readManifest()), name: 'dhnet', measured: [] };
  await writeFile(path.join(models, 'dhnet/manifest.json'), JSON.stringify(manifest));
  const server = await startServer({ MODEL_DIR: models, MODEL_MEMORY_MB: '1', SESSION_WORKERS: '1' });
  const image = dataUri(await gradientPng(20, 20));
  const predict = async (model: string): Promise<unknown> =>
    (await server.call('POST', '/predictions', { input: { image, model } })).body;
  const resident = async (): Promise<string[]> => {
    const text = await (await fetch(`${server.url}/metrics`)).text();
    return [...text.matchAll(/^deblur_runner_session_bytes\{model="([^"]+)"\}/gm)].map(([, name]) => name!);
  };
  expect(await resident()).toEqual(['dhnet-edge.uint8']);
  for (const model of ['dhnet', 'dhnet-edge', 'dhnet']) {
    expect(await predict(model)).toMatchObject({ status: 'succeeded', model });
    expect(await resident()).toEqual([`${model}.uint8`]);
  }
  await Promise.all(
    ['dhnet', 'dhnet-edge'].map(async (model) =>
      expect(await predict(model)).toMatchObject({ status: 'succeeded', model }),
    ),
  );
  expect((await server.health()).status).toBe('READY');
  await server.stop();

  const roomy = await startServer({ MODEL_DIR: models, SESSION_WORKERS: '1' });
  const ready = roomy.lines.filter(({ event }) => event === 'sessions_opened');
  expect(ready.map(({ sessions }) => sessions)).toEqual(['dhnet-edge.uint8', 'dhnet.uint8']);
  await roomy.stop();
});
