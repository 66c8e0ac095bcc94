/** A folder of several models, one of them with fixed tiles: what is served, what is refused and why. */
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { reflectIndex } from '@deblur/shared/pixels/tiling.ts';
import { dataUri, fixture, outputFile } from './support/images.ts';
import { runDirectly } from './support/network.ts';
import { MODEL_DIR, startServer, type Answer, type RunningServer } from './support/runner.ts';

let dir: string;
let server: RunningServer;

/** The graphs of dhnet-edge under another name. */
async function addModel(name: string, changes: object): Promise<void> {
  await cp(path.join(MODEL_DIR, 'dhnet-edge'), path.join(dir, name), { recursive: true });
  const file = path.join(dir, name, 'manifest.json');
  const manifest = JSON.parse(await readFile(file, 'utf8')) as object;
  await writeFile(file, JSON.stringify({ ...manifest, name, ...changes }));
}

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'deblur-models-'));
  await cp(path.join(MODEL_DIR, 'dhnet-edge'), path.join(dir, 'dhnet-edge'), { recursive: true });
  const quality = { psnr: 90, ssim: 1 };
  await addModel('whole-tiles', {
    tile: { size: 256, overlap: 32, max: 256, fixed: true, align: 16 },
    cost: 30,
    measured: [{ set: 'x', images: 1, input: quality, output: quality }],
  });
  await addModel('huge', { memory_bytes: 1e15 });
  await addModel('torn', { version: 'not a version' });
  await mkdir(path.join(dir, 'notes'));
  await writeFile(path.join(dir, 'notes/readme.txt'), 'no model');
  server = await startServer({ MODEL_DIR: dir, EXECUTION_PROVIDER: 'cpu', SESSION_WORKERS: '1' });
});
afterAll(async () => {
  await server.stop();
  await rm(dir, { recursive: true });
});

async function restore(input: object): Promise<Answer['body']> {
  const image = dataUri(
    await sharp(await fixture('kodak/kodim04.png'))
      .resize(40, 30)
      .png()
      .toBuffer(),
  );
  return (await server.call('POST', '/predictions', { input: { image, format: 'png', ...input } })).body;
}

it('serves the models that are whole, with the speed of each', async () => {
  const { status, setup } = await server.health();
  expect(status).toBe('READY');
  expect(setup.models.map(({ name }) => name).sort()).toEqual(['dhnet-edge', 'whole-tiles']);
  for (const model of setup.models) expect(model.seconds_per_megapixel).toBeGreaterThan(0);
});

it('names a model for which there is no memory, in its health and to who asks for it', async () => {
  const reason = expect.stringMatching(/^its sessions need 1000000000 MB of memory, and \d+ MB are free$/);
  expect((await server.health()).setup.refused).toEqual([{ name: 'huge', reason }]);
  const error = expect.stringMatching(/^model_unavailable: The runner cannot run huge: its sessions need /);
  expect(await restore({ model: 'huge' })).toMatchObject({ status: 'failed', error });
});

it.each(['torn', 'notes', 'no-such-model'])('does not have the model %s', async (model) => {
  const error = `model_unavailable: The runner has no trained weights of ${model}. Use another model.`;
  expect(await restore({ model })).toMatchObject({ status: 'failed', error });
});

it('takes the model of least cost on a CPU when none is named, not the best', async () => {
  expect(await restore({})).toMatchObject({ status: 'succeeded', model: 'dhnet-edge' });
});

it('continues a small picture to a whole tile by reflection where the model asks for it', async () => {
  const body = await restore({ model: 'whole-tiles' });
  expect(body).toMatchObject({ status: 'succeeded', model: 'whole-tiles', metrics: { tiles: 1 } });
  const [width, height, side] = [40, 30, 256];
  const small = await sharp(await fixture('kodak/kodim04.png'))
    .resize(width, height)
    .raw()
    .toBuffer();
  const sample = (index: number): number => {
    const [x, y] = [Math.floor(index / 3) % side, Math.floor(index / 3 / side)];
    return small[(reflectIndex(y, height) * width + reflectIndex(x, width)) * 3 + (index % 3)]!;
  };
  const tile = Uint8Array.from({ length: side * side * 3 }, (_, index) => sample(index));
  const whole = Buffer.from(await runDirectly('uint8', side, side, tile));
  const raw = { width: side, height: side, channels: 3 } as const;
  const expected = await sharp(whole, { raw }).extract({ left: 0, top: 0, width, height }).raw().toBuffer();
  const restored = await sharp(outputFile(body.output)).raw().toBuffer();
  expect(restored.equals(expected)).toBe(true);
});

it.each([
  ['whole-tiles', 128],
  ['dhnet-edge', 288],
])('refuses for %s tiles of %i pixels', async (model, tile) => {
  const error = `invalid_option: tile: ${model} does not take tiles of ${tile} pixels; leave it out`;
  expect(await restore({ model, tile })).toMatchObject({ status: 'failed', error });
});
