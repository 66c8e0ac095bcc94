/**
 * Processor time for one tile, the same model and the same tile in three runtimes, taken in turn in one run so that a busy
 * machine slows all three: workerd (the edge runner's session), onnxruntime-node and onnxruntime-web in Node, each with one thread and
 * the graph that is fastest there. One JSON line; the ratios are of the medians. `--rounds n` (default 10), `--size n` (default 256).
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import { manifestSchema, variantOf, wasmVariantOf } from '@deblur/shared/protocol/model-manifest.ts';
import { InferenceSession as NativeSession, Tensor as NativeTensor } from 'onnxruntime-node';
import { env, InferenceSession as WebSession, Tensor as WebTensor } from 'onnxruntime-web/wasm';
import sharp from 'sharp';
import { median, processorMs, round, startBenchWorker, weights } from './support.ts';

const WARM_UP = 2;
/** Tiles for one measurement: the way of a request to workerd hardly counts then. */
const REPEATS = 4;
const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '10' }, size: { type: 'string', default: '256' } },
});
const rounds = Number(values.rounds);
const size = Number(values.size);

const manifest = manifestSchema.parse(JSON.parse(readFileSync(`${weights}/dhnet-edge/manifest.json`, 'utf8')));
const graph = ({ file }: { readonly file: string }): Uint8Array => readFileSync(`${weights}/dhnet-edge/${file}`);
const dims = [1, size, size, 3];
const blurred = sharp(readFileSync(new URL('../../fixtures/reds/blur.png', import.meta.url)));
const tile = new Uint8Array(await blurred.extract({ left: 300, top: 200, width: size, height: size }).raw().toBuffer());

const native = await NativeSession.create(graph(variantOf(manifest, 'uint8')), {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
});
env.wasm.numThreads = 1;
env.logLevel = 'error';
const { resolve } = createRequire(import.meta.url);
env.wasm.wasmBinary = readFileSync(resolve('onnxruntime-web/ort-wasm-simd-threaded.wasm'));
const web = await WebSession.create(graph(wasmVariantOf(manifest)), {
  executionProviders: ['wasm'],
  enableMemPattern: false,
});
const worker = await startBenchWorker();

async function measured(pid: number, run: () => Promise<unknown>): Promise<number> {
  const before = processorMs(pid);
  await run();
  return (processorMs(pid) - before) / REPEATS;
}

async function repeated(run: () => Promise<unknown>): Promise<void> {
  for (let i = 0; i < REPEATS; i++) await run();
}

async function runInWorkerd(): Promise<void> {
  const response = await fetch(`${worker.url}/tile?size=${size}&repeats=${REPEATS}`, { method: 'POST', body: tile });
  if (!response.ok) throw new Error(await response.text());
  await response.arrayBuffer();
}

const runtimes = {
  workerd: () => measured(worker.workerdPid, runInWorkerd),
  native: () =>
    measured(process.pid, () => repeated(() => native.run({ image: new NativeTensor('uint8', tile, dims) }))),
  onnxruntime_web: () =>
    measured(process.pid, () => repeated(() => web.run({ image: new WebTensor('uint8', tile, dims) }))),
};
type Runtime = keyof typeof runtimes;
const names = Object.keys(runtimes) as Runtime[];

try {
  await (await fetch(`${worker.url}/cold`)).text();
  const times: Record<Runtime, number[]> = { workerd: [], native: [], onnxruntime_web: [] };
  for (let i = -WARM_UP; i < rounds; i++) {
    for (const name of names) {
      const ms = await runtimes[name]();
      if (i >= 0) times[name].push(ms);
    }
  }
  const medians = Object.fromEntries(names.map((name) => [name, median(times[name])])) as Record<Runtime, number>;
  const rounded = (pick: (name: Runtime) => number): object =>
    Object.fromEntries(names.map((name) => [name, round(pick(name))]));
  console.log(
    JSON.stringify({
      bench: 'edge-tile',
      model_version: manifest.version.slice(0, 12),
      size,
      rounds,
      processor_ms: rounded((name) => medians[name]),
      fastest_ms: rounded((name) => Math.min(...times[name])),
      workerd_over_native: round(medians.workerd / medians.native, 2),
      workerd_over_onnxruntime_web: round(medians.workerd / medians.onnxruntime_web, 2),
    }),
  );
} finally {
  await worker.stop();
}
