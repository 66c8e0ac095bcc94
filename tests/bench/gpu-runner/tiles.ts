/**
 * Tiles per second of one network by type and batch, in ONNX Runtime and in PyTorch, on the same device:
 * `npm run bench -- runner-tiles`. MODEL (default dhnet-edge) of MODEL_DIR, EXECUTION_PROVIDER (default cpu), and of PyTorch eager
 * and compiled; TILES_SECONDS (default 3) for each row and round. `over_float32`: over ONNX Runtime's float32 with one tile, of
 * the same round where it is ONNX Runtime's, since the machine's speed drifts.
 *
 * One session on all cores, as PyTorch has them. A CPU has no row of float16: it would only cast.
 */
import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import type { ModelVariant } from '@deblur/shared/model-manifest.ts';
import type { ModelName } from '@deblur/shared/options.ts';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { DEFAULT_BATCH_SIZE } from '../../../gpu-runner/limits.ts';
import { sessionOptions } from '../../../gpu-runner/session-options.ts';
import { readManifest } from '../../gpu-runner/support/network.ts';
import { MODEL_DIR } from '../../gpu-runner/support/runner.ts';
import { PROVIDER } from './provider.ts';
import { median, round } from './support.ts';

const ROUNDS = 3;
const seconds = Number(process.env['TILES_SECONDS'] ?? 3);
const model = (process.env['MODEL'] ?? 'dhnet-edge') as ModelName;
const root = path.resolve(import.meta.dirname, '../../..');
const manifest = await readManifest(model);
const side = manifest.tile.size;
const batches = [...new Set([1, Math.min(8, manifest.max_batch ?? 8), DEFAULT_BATCH_SIZE[PROVIDER]])];
const variants = manifest.variants.filter(
  ({ id }) => !id.endsWith('-single') && (PROVIDER !== 'cpu' || !id.endsWith('float16')),
);

interface Row {
  readonly name: string;
  readonly batch: number;
  readonly rates: number[];
  run(): Promise<unknown>;
}

const rows = (await Promise.all(variants.map(rowsOf))).flat();
for (const { run } of rows) await run();
for (let i = 0; i < ROUNDS; i++) for (const row of rows) row.rates.push(await rateOf(row));
const baseline = rows.find(({ name, batch }) => name === 'float32' && batch === 1)!.rates;
const report = rows.map(({ name, batch, rates }) => ({
  engine: 'onnxruntime',
  type: name,
  batch,
  tiles_per_second: round(median(rates)),
  over_float32: round(median(rates.map((rate, i) => rate / baseline[i]!))),
}));
console.log(
  JSON.stringify({
    bench: 'gpu-runner/tiles',
    model,
    provider: PROVIDER,
    tile: side,
    rows: [...report, ...pytorch(median(baseline))],
  }),
);

async function rowsOf({ id, file, input }: ModelVariant): Promise<Row[]> {
  const options = sessionOptions(PROVIDER, availableParallelism());
  const session = await InferenceSession.create(path.join(MODEL_DIR, model, file), options);
  return batches.map((batch) => {
    const length = batch * side * side * 3;
    const samples =
      input.type === 'uint8'
        ? Uint8Array.from({ length }, (_, i) => (i * 31) & 255)
        : Float32Array.from({ length }, (_, i) => ((i * 31) & 255) / 255);
    const run = () => session.run({ [input.name]: new Tensor(samples, [batch, side, side, 3]) });
    return { name: id, batch, rates: [], run };
  });
}

async function rateOf({ batch, run }: Row): Promise<number> {
  const start = performance.now();
  let runs = 0;
  while (runs === 0 || performance.now() - start < seconds * 1000) {
    await run();
    runs++;
  }
  return (runs * batch * 1000) / (performance.now() - start);
}

/** The same weights, from the slim checkpoint beside the graphs. */
function pytorch(float32: number): object[] {
  const options = ['--model', path.join(MODEL_DIR, model), '--seconds', String(seconds), '--json'];
  const device = ['--device', PROVIDER === 'cpu' ? 'cpu' : 'cuda', '--batch', ...batches.map(String)];
  const told = execFileSync(process.execPath, ['scripts/model.ts', 'speed', ...options, ...device], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const found = JSON.parse(told.slice(told.indexOf('['))) as { readonly tiles_per_second: number }[];
  return found.map((row) => ({ ...row, over_float32: round(row.tiles_per_second / float32) }));
}
