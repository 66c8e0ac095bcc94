/** Tiles of different pictures in one run, with the real network. */
import path from 'node:path';
import { variantOf, type VariantId } from '@deblur/shared/protocol/model-manifest.ts';
import sharp from 'sharp';
import { afterEach, expect, it } from 'vitest';
import { SessionPool } from '../../gpu-runner/sessions/session-pool.ts';
import { newTile, type SharedTile } from '../../gpu-runner/sessions/shared-tile.ts';
import { dataUri, fixture, gradientPng } from './support/images.ts';
import { readManifest } from './support/network.ts';
import { MODEL_DIR, startServer, until } from './support/runner.ts';

const SIDE = 64;
const blurred = await sharp(await fixture('reds/blur.png'))
  .removeAlpha()
  .raw()
  .toBuffer({ resolveWithObject: true });
let pool: SessionPool | undefined;
afterEach(async () => {
  await pool?.close();
  pool = undefined;
});

/** Batches that fill up do not wait: the delay is that of those that do not. */
async function open(id: VariantId, size: number, batches: number[] = [], delayMs = 60_000): Promise<SessionPool> {
  const variant = variantOf(await readManifest(), id);
  pool = await SessionPool.open({
    name: 'test',
    workers: 1,
    batching: { size, delayMs },
    load: {
      path: path.join(MODEL_DIR, 'dhnet-edge', variant.file),
      variant,
      provider: 'cpu',
      intraOpThreads: 1,
      warmUp: { side: SIDE, batches: [1] },
    },
    observer: { ran: (tiles) => void batches.push(tiles), threadRestarted: () => undefined },
    log: { info: () => undefined, error: () => undefined },
  });
  return pool;
}

/** A cut of a blurred photograph, another one for each seed: of noise the network may leave every byte as it is. */
function tile(seed: number, floats: boolean, side = SIDE): SharedTile {
  const { data, info } = blurred;
  const [left, top] = [400 + 70 * seed, 180 + 40 * seed];
  const cut = newTile(floats ? 'float32' : 'uint8', side, side);
  for (let i = 0; i < cut.data.length; i++) {
    const [y, x] = [Math.floor(i / (side * 3)), i % (side * 3)];
    const sample = data[((top + y) * info.width + left) * 3 + x]!;
    cut.data[i] = floats ? sample / 255 : sample;
  }
  return cut;
}

it.each([
  ['uint8', 1],
  ['float32', 1e-5],
] as const)('gives a tile the same %s samples alone and in company, to the last bits', async (id, tolerance) => {
  const floats = id === 'float32';
  const seeds = [1, 2, 3, 4];
  const single = await open(id, 1);
  const alone = seeds.map((seed) => tile(seed, floats));
  for (const each of alone) await single.run(each, {});
  await single.close();
  const batches: number[] = [];
  const shared = await open(id, 4, batches);
  const together = seeds.map((seed) => tile(seed, floats));
  await Promise.all(together.map((each) => shared.run(each, {})));
  expect(batches).toEqual([4]);
  const farthest = ({ data: a }: SharedTile, { data: b }: SharedTile): number =>
    Array.from(a, (value, i) => Math.abs(value - b[i]!)).reduce((most, each) => Math.max(most, each));
  together.forEach((each, i) => expect(farthest(each, alone[i]!)).toBeLessThanOrEqual(tolerance));
  alone.forEach((each, i) => expect(each).not.toEqual(tile(seeds[i]!, floats)));
  expect(farthest(alone[0]!, alone[1]!)).toBeGreaterThan(10 * tolerance);
});

it('does not wait for company for ever', async () => {
  const batches: number[] = [];
  const shared = await open('uint8', 8, batches, 50);
  const tiles = [1, 2, 3].map((seed) => tile(seed, false));
  const three = await Promise.all(tiles.map((each) => shared.run(each, {})));
  expect(three.every(({ queueMs, inferMs }) => queueMs > 0 && inferMs > 0)).toBe(true);
  expect(batches).toEqual([2, 1]);
});

it('puts tiles of two shapes into two runs', async () => {
  const batches: number[] = [];
  const shared = await open('uint8', 4, batches, 50);
  const tiles = [SIDE, 32, SIDE, 32].map((side, i) => tile(i, false, side));
  await Promise.all(tiles.map((each, i) => shared.run(each, { i })));
  tiles.forEach(({ data, width }, i) => expect(data).not.toEqual(tile(i, false, width).data));
  expect(batches).toEqual([2, 2]);
});

it('lets a tile go at once when its picture is cancelled, in the queue and at a session’s door', async () => {
  const batches: number[] = [];
  const shared = await open('uint8', 1, batches);
  const controller = new AbortController();
  const big = {};
  // Long enough that the next one lies at the thread's door when the cancel comes.
  const running = shared.run(tile(1, false, 256), {});
  const cancelled = [2, 3].map((seed) => shared.run(tile(seed, false), big, controller.signal));
  const ended = Promise.allSettled(cancelled).then(() => [...batches]);
  controller.abort(new Error('enough'));
  for (const each of cancelled) await expect(each).rejects.toThrow('enough');
  expect(await ended).toEqual([]);
  await running;
  await expect(shared.run(tile(4, false), big, controller.signal)).rejects.toThrow('enough');
  await shared.run(tile(5, false), {});
  expect(batches).toEqual([1, 1]);
});

it('gives the others of a batch another turn when one of its pictures is cancelled at the door', async () => {
  const batches: number[] = [];
  const shared = await open('uint8', 2, batches);
  const controller = new AbortController();
  const running = [1, 2].map((seed) => shared.run(tile(seed, false, 256), {}));
  const cancelled = shared.run(tile(3, false), {}, controller.signal);
  const [other, later] = [tile(4, false), tile(4, false)];
  const putBack = shared.run(other, {});
  controller.abort(new Error('enough'));
  await expect(cancelled).rejects.toThrow('enough');
  await Promise.all([...running, putBack, shared.run(later, {})]);
  expect(other).toEqual(later);
  expect(other).not.toEqual(tile(4, false));
  expect(batches).toEqual([2, 2]);
});

it('serves a small picture between the tiles of a large one, from shared runs', async () => {
  const small = dataUri(await gradientPng(192, 192));
  const input = { image: small, format: 'png' };
  const server = await startServer({ BATCH_SIZE: '2', SESSION_WORKERS: '1' });
  const large = { input: { image: dataUri(await gradientPng(1500, 1100)) } };
  const busy = async (id: string): Promise<{ done: number; total: number } | null> =>
    (await server.call('GET', `/predictions/${id}`)).body.progress;
  await server.call('PUT', '/predictions/one', large, { headers: { prefer: 'respond-async' } });
  await until(async () => (await busy('one')) !== null);
  const { body } = await server.call('POST', '/predictions', { input });
  expect(body.status).toBe('succeeded');
  const { done, total } = (await busy('one'))!;
  expect(done).toBeLessThan(total / 2);
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const metric = (name: string): number => Number(new RegExp(`^${name}\\{.*\\} (\\S+)$`, 'm').exec(text)?.[1]);
  expect(metric('deblur_runner_batch_size_sum')).toBeGreaterThan(metric('deblur_runner_batch_size_count'));
  await server.call('POST', '/predictions/one/cancel');
  await server.stop();
});
