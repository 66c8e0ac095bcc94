/** Milliseconds per tile by the number of tiles in one run, on one thread: `npm run bench -- runner-batch`. */
import path from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { sessionOptions } from '../../../gpu-runner/sessions/session-options.ts';
import { variantFor } from '../../../gpu-runner/models/variants.ts';
import { readManifest } from '../../gpu-runner/support/network.ts';
import { MODEL_DIR } from '../../gpu-runner/support/runner.ts';
import { PROVIDER } from './provider.ts';
import { median, round } from './support.ts';

const SIZES = [1, 2, 4, 8];
const ROUNDS = 7;
const manifest = await readManifest();
const { file, input } = variantFor(manifest, 'uint8', PROVIDER);
const session = await InferenceSession.create(path.join(MODEL_DIR, 'dhnet-edge', file), sessionOptions(PROVIDER, 1));
const side = manifest.tile.size;
const times = new Map<number, number[]>(SIZES.map((size) => [size, []]));
// In turns, so that a busy moment of the machine does not meet one size only; the first round warms up.
for (let i = 0; i <= ROUNDS; i++) {
  for (const size of SIZES) {
    const samples = Uint8Array.from({ length: size * side * side * 3 }, (_, at) => (at * 31) & 255);
    const start = performance.now();
    await session.run({ [input.name]: new Tensor(samples, [size, side, side, 3]) });
    if (i > 0) times.get(size)!.push((performance.now() - start) / size);
  }
}
const per = (pick: (all: number[]) => number) => Object.fromEntries(SIZES.map((n) => [n, round(pick(times.get(n)!))]));
console.log(
  JSON.stringify({
    bench: 'gpu-runner/batch',
    provider: PROVIDER,
    tile: side,
    median_ms_per_tile: per(median),
    best_ms_per_tile: per((all) => Math.min(...all)),
  }),
);
