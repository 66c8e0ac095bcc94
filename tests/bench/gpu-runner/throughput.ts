/**
 * Sixteen mixed requests at once against the bare network: `npm run bench -- runner-throughput`. The runner's best model is
 * measured; MODEL_DIR has another one, and ROUNDS (default 5) fewer rounds for a slow one.
 *
 * `throughput_ratio`: tiles per second of the runner, files fetched, decoded, encoded and uploaded, over those of as many
 * threads that do nothing but call session.run back to back. Both are measured in turns, and each round is compared with
 * the bare network before and after it: the machine's speed drifts.
 */
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { variantOf } from '@deblur/shared/model-manifest.ts';
import type { ModelName } from '@deblur/shared/options.ts';
import { startReceiver } from '../../gpu-runner/support/receiver.ts';
import { MODEL_DIR, startServer } from '../../gpu-runner/support/runner.ts';
import { readManifest } from '../../gpu-runner/support/network.ts';
import { median, photo, restore, round } from './support.ts';

const ROUNDS = Number(process.env['ROUNDS'] ?? 5);
const REQUESTS = 16;
const BARE_SECONDS = 5;
const SIZES = [
  [256, 256, 'png'],
  [640, 480, 'jpeg'],
  [1024, 768, 'jpeg'],
  [1280, 720, 'png'],
] as const;

const receiver = await startReceiver();
for (const [width, height, format] of SIZES) {
  receiver.sources.set(`/${width}.${format}`, await photo(width, height, format));
}
const server = await startServer({
  ALLOW_ORIGINS: receiver.origin,
  EXECUTION_PROVIDER: 'cpu',
  SLOTS: String(REQUESTS),
});
const ready = server.lines.find(({ event }) => event === 'ready');
const sessions = Number(ready?.['sessions']);
const model = (await server.health()).setup.models[0]!.name as ModelName;
try {
  await mixed('warm-up', SIZES.length);
  const bares = [await bare()];
  const runners: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    runners.push(await mixed(`round-${i}`));
    bares.push(await bare());
  }
  const ratios = runners.map((runner, i) => (2 * runner) / (bares[i]! + bares[i + 1]!));
  console.log(
    JSON.stringify({
      bench: 'gpu-runner/throughput',
      model,
      concurrent: REQUESTS,
      sessions,
      batch_size: ready?.['batch_size'],
      runner_tiles_per_second: round(median(runners)),
      bare_tiles_per_second: round(median(bares)),
      throughput_ratio: round(median(ratios)),
      throughput_ratios: ratios.map(round),
    }),
  );
} finally {
  await server.stop();
  await receiver.close();
}

/** @returns tiles per second */
async function mixed(name: string, requests = REQUESTS): Promise<number> {
  const start = performance.now();
  const done = await Promise.all(
    Array.from({ length: requests }, (_, i) => {
      const [width, , format] = SIZES[i % SIZES.length]!;
      return restore(server, receiver, `${name}-${i}`, `/${width}.${format}`, format);
    }),
  );
  receiver.uploads.length = 0;
  const tiles = done.reduce((sum, { metrics }) => sum + (metrics.tiles ?? 0), 0);
  return (tiles * 1000) / (performance.now() - start);
}

/** @returns tiles per second of threads that only call session.run */
async function bare(): Promise<number> {
  const manifest = await readManifest(model);
  const variant = variantOf(manifest, 'uint8');
  const workerData = {
    path: path.join(MODEL_DIR, model, variant.file),
    input: variant.input.name,
    side: manifest.tile.size,
    seconds: BARE_SECONDS,
  };
  const script = new URL('./bare-session.ts', import.meta.url);
  const rates = Array.from({ length: sessions }, () => {
    const worker = new Worker(script, { workerData });
    return new Promise<number>((resolve, reject) => worker.once('message', resolve).once('error', reject));
  });
  return (await Promise.all(rates)).reduce((sum, rate) => sum + rate, 0);
}
