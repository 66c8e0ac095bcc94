/**
 * Tiles per second of one network by type and batch, in ONNX Runtime and in PyTorch, eager and compiled, on the same device:
 * `npm run bench -- runner-tiles`. MODEL (default dhnet-edge) of MODEL_DIR, EXECUTION_PROVIDER (default cpu), TILES_SECONDS
 * (default 2) for each row and round. One tile a run, and as many as the provider has by default. All rows are measured in
 * turns; `over_float32` is over ONNX Runtime's float32 with one tile in the same round, since the machine's speed drifts.
 *
 * A session as a session thread makes it, on all cores, as PyTorch has them. Samples come from the machine's memory and go
 * back there, on a GPU too.
 */
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { variantSchema, type ModelVariant } from '@deblur/shared/protocol/model-manifest.ts';
import type { ModelName } from '@deblur/shared/protocol/options.ts';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { DEFAULT_BATCH_SIZE } from '../../../gpu-runner/limits.ts';
import { sessionOptions } from '../../../gpu-runner/sessions/session-options.ts';
import { readManifest } from '../../gpu-runner/support/network.ts';
import { MODEL_DIR } from '../../gpu-runner/support/runner.ts';
import { PROVIDER } from './provider.ts';
import { startPyTorch, type Row } from './pytorch.ts';
import { median, round } from './support.ts';

interface Session {
  readonly type: ModelVariant['id'];
  readonly batch: number;
  run(): Promise<unknown>;
}

const ROUNDS = 3;
const seconds = Number(process.env['TILES_SECONDS'] ?? 2);
const model = (process.env['MODEL'] ?? 'dhnet-edge') as ModelName;
const manifest = await readManifest(model);
const side = manifest.tile.size;
const most = DEFAULT_BATCH_SIZE[PROVIDER];
const batches = [...new Set([1, Math.min(most, manifest.max_batch ?? most)])];
const CASTS = 'a CPU has no arithmetic in float16: it would only cast';
const skipped = skippedRows();

const sessions: Session[] = [];
for (const variant of manifest.variants) if (!skipped.has(variant.id)) sessions.push(...(await sessionsOf(variant)));
const pytorch = startPyTorch({ model: path.join(MODEL_DIR, model), provider: PROVIDER, batches, seconds });
try {
  // The first round compiles and warms up.
  await measureRound();
  const rounds: Row[][] = [];
  for (let i = 0; i < ROUNDS; i++) rounds.push(await measureRound());
  console.log(
    JSON.stringify({
      bench: 'gpu-runner/tiles',
      model,
      provider: PROVIDER,
      tile: side,
      rows: summary(rounds),
      skipped: Object.fromEntries(skipped),
    }),
  );
} finally {
  pytorch.stop();
}

/** What is not measured, and why. */
function skippedRows(): ReadonlyMap<string, string> {
  const reasons = new Map<string, string>();
  for (const id of variantSchema.shape.id.options) {
    if (id.endsWith('-single')) reasons.set(id, 'is made for WebAssembly');
    else if (PROVIDER === 'cpu' && id.endsWith('-float16')) reasons.set(id, CASTS);
    else if (!manifest.variants.some((variant) => variant.id === id))
      reasons.set(id, `${model} was exported without it`);
  }
  return PROVIDER === 'cpu' ? reasons.set('pytorch float16', CASTS) : reasons;
}

async function sessionsOf({ id, file, input }: ModelVariant): Promise<Session[]> {
  const options = sessionOptions(PROVIDER, availableParallelism());
  const session = await InferenceSession.create(path.join(MODEL_DIR, model, file), options);
  return batches.map((batch) => {
    const bytes = Uint8Array.from({ length: batch * side * side * 3 }, (_, i) => (i * 31) & 255);
    const samples = input.type === 'uint8' ? bytes : Float32Array.from(bytes, (byte) => byte / 255);
    const run = () => session.run({ [input.name]: new Tensor(samples, [batch, side, side, 3]) });
    return { type: id, batch, run };
  });
}

async function measureRound(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { type, batch, run } of sessions) {
    rows.push({ engine: 'onnxruntime', type, batch, tiles_per_second: batch * (await runsPerSecond(run)) });
  }
  return [...rows, ...(await pytorch.round())];
}

async function runsPerSecond(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  let runs = 0;
  while (runs === 0 || performance.now() - start < seconds * 1000) {
    await run();
    runs++;
  }
  return (runs * 1000) / (performance.now() - start);
}

/** Every round has the same rows in the same order. */
function summary(rounds: readonly (readonly Row[])[]): object[] {
  const isBaseline = ({ engine, type, batch }: Row) => engine === 'onnxruntime' && type === 'float32' && batch === 1;
  const baseline = rounds[0]!.findIndex(isBaseline);
  return rounds[0]!.map(({ engine, type, batch }, i) => ({
    engine,
    type,
    batch,
    tiles_per_second: round(median(rounds.map((rows) => rows[i]!.tiles_per_second))),
    over_float32: round(median(rounds.map((rows) => rows[i]!.tiles_per_second / rows[baseline]!.tiles_per_second))),
  }));
}
