/** What the exporter writes for another machine: fetched from there by its manifest, with the prior beside the graphs. */
import { readdir, readFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { manifestSchema } from '@deblur/shared/protocol/model-manifest.ts';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { exportDhnetB } from '../support/exported-model.ts';
import { dataUri, gradientPng } from './support/images.ts';
import { startReceiver, type Receiver } from './support/receiver.ts';
import { startServer } from './support/runner.ts';

let dir: string;
let store: Receiver;
beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'deblur-exported-'));
  store = await startReceiver();
});
afterAll(async () => {
  await store.close();
  await rm(dir, { recursive: true });
});

it('is pulled by the URLs that --url-base names, and runs', async () => {
  const base = `${store.origin}/models/b`;
  // Narrow, so that it takes no time: the files, the graphs' operators and how they hang together are the same.
  const out = await exportDhnetB(dir, 4, '--tile', '128', '--dtype', 'float32', 'float16', '--url-base', base);
  const exported: unknown = JSON.parse(await readFile(path.join(out, 'manifest.json'), 'utf8'));
  const manifest = manifestSchema.parse(exported);
  const { tile, ...rest } = exported as { readonly tile: object };
  expect(manifest).toEqual({ ...rest, tile: { max: 1024, fixed: false, align: 1, ...tile } });
  for (const { file, url, external_data: [prior] = [] } of manifest.variants) {
    expect([url, prior?.url]).toEqual([`${base}/${file}`, `${base}/dhnet-b.prior.bin`]);
  }
  for (const file of await readdir(out)) store.sources.set(`/models/b/${file}`, await readFile(path.join(out, file)));

  const empty = path.join(dir, 'empty');
  await mkdir(empty);
  const server = await startServer({
    MODEL_DIR: empty,
    MODEL_CACHE_DIR: path.join(dir, 'cache'),
    MODEL_MANIFESTS: `${base}/manifest.json`,
    MODEL_ORIGINS: store.origin,
    EXECUTION_PROVIDER: 'cpu',
    SESSION_WORKERS: '1',
  });
  const image = dataUri(await gradientPng(20, 20));
  const { body } = await server.call('POST', '/predictions', { input: { image, model: 'dhnet-b' } });
  await server.stop();
  expect(body).toMatchObject({ status: 'succeeded', model: 'dhnet-b', version: manifest.version });
  const fetched = server.lines.filter(({ event }) => event === 'model_download').map(({ file }) => file);
  // On the CPU nothing runs in float16, so nothing of it is fetched.
  expect(fetched.sort()).toEqual(['float32.onnx', 'prior.bin', 'uint8.onnx'].map((end) => `dhnet-b.${end}`));
  const opened = server.lines.filter(({ event }) => event === 'sessions_opened').map(({ sessions }) => sessions);
  expect(opened).toEqual(['dhnet-b.uint8']);
});
