/** The way of a model that is not shipped: exported, put where the runner looks, named to the gateway, asked for by name. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { manifestSchema, modelFactsSchema, type ModelManifest } from '@deblur/shared/protocol/model-manifest.ts';
import { isTerminal, type Prediction } from '@deblur/shared/protocol/prediction.ts';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { exportDhnetB, restoreByPyTorch } from '../support/exported-model.ts';
import { decodeRgb, fixture, type Pixels } from '../support/images.ts';
import { startAsUser, type Started } from '../support/start.ts';

/** Small, for the processor's sake: two of them cover the picture, and reach beyond its lower edge. */
const TILE = 128;
/** What `verify` allows a graph that computes in float32: half a level, and half a one for rounding. */
const PARITY_LEVELS = 1;

let dir: string;
let service: Started | undefined;
let exported: unknown;

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'deblur-dhnet-b-'));
  const out = await exportDhnetB(dir, 64, '--tile', String(TILE));
  exported = JSON.parse(await readFile(path.join(out, 'manifest.json'), 'utf8'));
  service = await startAsUser({
    MODEL_DIR: path.join(dir, 'models'),
    RUNNER_MODELS: JSON.stringify([modelFactsSchema.parse(exported)]),
    EXECUTION_PROVIDER: 'cpu',
    SESSION_WORKERS: '1',
  });
});
afterAll(async () => {
  await service?.interrupt();
  await rm(dir, { recursive: true });
});

it('the exporter writes what the schema of manifests defines, and no more', () => {
  const { tile, ...rest } = exported as { readonly tile: object };
  // A manifest that says nothing else allows tiles up to 1024 pixels, of any start.
  expect(manifestSchema.parse(exported)).toEqual({ ...rest, tile: { max: 1024, fixed: false, align: 1, ...tile } });
  expect(exported).toMatchObject({ prior: { network: 'ufpnet' }, variants: [{ external_data: [{}] }, {}] });
});

it('DHNet-B with its prior restores a picture through gateway and runner as PyTorch does', async () => {
  const { version } = exported as ModelManifest;
  const picture = path.join(dir, 'picture.png');
  const extract = { left: 300, top: 200, width: 181, height: 101 };
  await writeFile(
    picture,
    await sharp(await fixture('reds/blur.png'))
      .extract(extract)
      .png()
      .toBuffer(),
  );
  const image = `data:image/png;base64,${(await readFile(picture)).toString('base64')}`;

  let prediction = await ask('POST', '/v1/predictions', { input: { image, model: 'dhnet-b', format: 'png' } });
  while (!isTerminal(prediction.status)) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    prediction = await ask('GET', `/v1/predictions/${prediction.id}`);
  }
  const metrics = { placement: 'runner', tiles: 2 };
  expect(prediction).toMatchObject({ status: 'succeeded', model: 'deblur/dhnet-b', version, metrics });
  const result = await fetch(prediction.output ?? '');
  const restored = await decodeRgb(new Uint8Array(await result.arrayBuffer()));

  const reference = path.join(dir, 'restored.png');
  await restoreByPyTorch(dir, picture, reference);
  const expected = await decodeRgb(await readFile(reference));
  expect([restored.width, restored.height]).toEqual([extract.width, extract.height]);
  expect(largestDifference(expected, await decodeRgb(await readFile(picture)))).toBeGreaterThan(3);
  expect(largestDifference(restored, expected)).toBeLessThanOrEqual(PARITY_LEVELS);
});

async function ask(method: string, route: string, body?: object): Promise<Prediction> {
  const headers = { 'content-type': 'application/json', prefer: 'wait=60' };
  const init = body === undefined ? { method } : { method, headers, body: JSON.stringify(body) };
  const response = await fetch(`${service?.url}${route}`, init);
  expect(response.ok).toBe(true);
  return (await response.json()) as Prediction;
}

/** In levels of 255. */
function largestDifference(a: Pixels, b: Pixels): number {
  return a.data.reduce((most, value, i) => Math.max(most, Math.abs(value - b.data[i]!)), 0);
}
