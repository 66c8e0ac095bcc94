/** Whose turn it is when the sessions of two models do not fit beside each other, with the real network. */
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ModelManifest } from '@deblur/shared/protocol/model-manifest.ts';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { HttpClient } from '../../gpu-runner/transfers/http-client.ts';
import { Metrics } from '../../gpu-runner/ops/metrics.ts';
import { ModelFiles } from '../../gpu-runner/models/model-files.ts';
import { Sessions, type SessionLease } from '../../gpu-runner/sessions/sessions.ts';
import { tilingFor } from '../../gpu-runner/sessions/tile-shape.ts';
import { dataUri, fixture, gradientPng } from './support/images.ts';
import { readManifest } from './support/network.ts';
import { MODEL_DIR, startServer, until, type RunningServer } from './support/runner.ts';

const log = { info: () => undefined, error: () => undefined };
let models: string;
/** Two models of the same weights, of which one fits. */
beforeAll(async () => {
  models = await mkdtemp(path.join(tmpdir(), 'sessions-'));
  for (const name of ['dhnet-edge', 'dhnet']) {
    await cp(path.join(MODEL_DIR, 'dhnet-edge'), path.join(models, name), { recursive: true });
  }
  const manifest = { ...(await readManifest()), name: 'dhnet', measured: [] };
  await writeFile(path.join(models, 'dhnet/manifest.json'), JSON.stringify(manifest));
});
afterAll(() => rm(models, { recursive: true }));

describe('pictures whose sessions are open', () => {
  let server: RunningServer;
  beforeEach(async () => {
    server = await startServer({ MODEL_DIR: models, MODEL_MEMORY_MB: '1', SESSION_WORKERS: '1', SLOTS: '3' });
  });
  afterEach(async () => void (await server.stop()));

  const statusOf = async (id: string): Promise<string> => (await server.call('GET', `/predictions/${id}`)).body.status;

  /** Begins a picture of two dozen tiles, which holds its sessions for seconds. */
  async function begin(id: string, image: Uint8Array, model: string): Promise<void> {
    const input = { image: dataUri(image), model };
    await server.call('PUT', `/predictions/${id}`, { input }, { headers: { prefer: 'respond-async' } });
  }

  it('pass one that waits for others to be closed; that one is cancelled at once, or has its turn', async () => {
    const photo = await fixture('kodak/kodim04.png');
    const small = await gradientPng(20, 20);
    await begin('large', photo, 'dhnet-edge');
    await until(async () => (await server.call('GET', '/predictions/large')).body.progress !== null);
    await begin('other', small, 'dhnet');

    const passing = await server.call('POST', '/predictions', {
      input: { image: dataUri(small), model: 'dhnet-edge' },
    });
    expect(passing.body.status).toBe('succeeded');
    expect([await statusOf('large'), await statusOf('other')]).toEqual(['processing', 'processing']);

    await begin('unwanted', small, 'dhnet');
    for (const id of ['unwanted', 'other']) await server.call('POST', `/predictions/${id}/cancel`);
    await until(async () => (await statusOf('unwanted')) === 'canceled' && (await statusOf('other')) === 'canceled');
    expect(await statusOf('large')).toBe('processing');

    await begin('another', small, 'dhnet');
    await until(async () => (await statusOf('another')) === 'succeeded');
    expect(await statusOf('large')).toBe('succeeded');
  });
});

describe('sessions of two models, of which one fits', () => {
  let sessions: Sessions;
  let edge: ModelManifest;
  let other: ModelManifest;
  const held: SessionLease[] = [];
  beforeEach(async () => {
    const http = new HttpClient({ allowOrigins: [] });
    const wanted = (model: ModelManifest) => model.variants;
    const files = await ModelFiles.load({ dir: models, cacheDir: models, manifestUrls: [], wanted, http, log });
    await http.close();
    [edge, other] = ['dhnet-edge', 'dhnet'].map((name) => files.offered().find((model) => model.name === name)!) as [
      ModelManifest,
      ModelManifest,
    ];
    const sizes = { workers: 1, intraOpThreads: 1, batchSize: 1, batchDelayMs: 0, memoryBytes: 1_000_000 };
    sessions = await Sessions.open(files, { requested: 'cpu', ...sizes, passingMs: 100, log, metrics: new Metrics() });
  });
  afterEach(async () => {
    for (const lease of held.splice(0)) lease.release();
    await sessions.close();
  });

  /** Leases in the order in which they come. */
  const order: string[] = [];
  async function acquire(model: ModelManifest, signal?: AbortSignal): Promise<SessionLease> {
    const lease = await sessions.acquire(model, 'uint8', signal);
    order.push(model.name);
    held.push(lease);
    return lease;
  }
  beforeEach(() => void order.splice(0));

  it('are never open together, and one that was passed for long enough comes before who would pass it', async () => {
    const first = await acquire(edge);
    const waiting = acquire(other);
    await sleep(10);
    const passing = await acquire(edge);
    await sleep(150);
    const late = acquire(edge);
    passing.release();
    await sleep(10);
    expect([...sessions.bytes.keys()]).toEqual(['dhnet-edge.uint8']);
    first.release();
    const second = await waiting;
    expect([...sessions.bytes.keys()]).toEqual(['dhnet.uint8']);
    second.release();
    await late;
    expect(order).toEqual(['dhnet-edge', 'dhnet-edge', 'dhnet', 'dhnet-edge']);
    expect([...sessions.bytes.keys()]).toEqual(['dhnet-edge.uint8']);
  });

  it('are not held for who does not wait any more', async () => {
    const first = await acquire(edge);
    const gone = new AbortController();
    const waiting = acquire(other, gone.signal);
    await sleep(10);
    gone.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
    // Those that come as it gives up are not made to wait.
    await sleep(150);
    await acquire(edge);
    first.release();

    // Gone while its sessions open: they are nobody's, and make room again.
    for (const lease of held.splice(0)) lease.release();
    const opening = new AbortController();
    const abandoned = acquire(other, opening.signal);
    await sleep(10);
    opening.abort(new Error('gone'));
    await expect(abandoned).rejects.toThrow('gone');
    await acquire(edge);
    expect([...sessions.bytes.keys()]).toEqual(['dhnet-edge.uint8']);
  });
});

it('gives a GPU tiles of one shape, and a CPU no more pixels than there are', async () => {
  const model = await readManifest();
  const { size, overlap } = model.tile;
  const common = { overlap, align: 1 };
  expect(tilingFor(model, undefined, 'cuda')).toEqual({ ...common, size, padMultiple: size });
  expect(tilingFor(model, 256, 'tensorrt')).toEqual({ ...common, size: 256, padMultiple: 256 });
  expect(tilingFor(model, undefined, 'cpu')).toEqual({ ...common, size, padMultiple: model.pad_multiple });
});

it('gives a model of fixed tiles whole ones, aligned as its manifest says, on every processor', async () => {
  const model = await readManifest();
  const fixed = { ...model, tile: { size: 256, overlap: 32, max: 256, fixed: true, align: 16 } };
  const whole = { size: 256, overlap: 32, align: 16, padMultiple: 256 };
  expect(tilingFor(fixed, undefined, 'cpu')).toEqual(whole);
  expect(tilingFor(fixed, 256, 'cuda')).toEqual(whole);
  expect(() => tilingFor(fixed, 128, 'cpu')).toThrow('tile: dhnet-edge does not take tiles of 128 pixels');
});

it.each([250, 32, 288, 512])('refuses tiles of %i pixels, which dhnet-edge does not take', async (side) => {
  const model = await readManifest();
  for (const provider of ['cpu', 'cuda'] as const) {
    expect(() => tilingFor(model, side, provider)).toThrow(`tile: dhnet-edge does not take tiles of ${side} pixels`);
  }
});
