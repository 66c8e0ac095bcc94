/**
 * Milliseconds for one 256×256 tile, the same model and the same tile in three runtimes, taken in turn in one run so that a
 * busy machine slows all three: workerd (the edge runner's session), onnxruntime-web in plain Node, onnxruntime-node with
 * one thread. One JSON line; the ratios are of the medians. `--rounds n` (default 30).
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import { manifestSchema, wasmVariantOf } from '@deblur/shared/protocol/model-manifest.ts';
import { InferenceSession as NativeSession, Tensor as NativeTensor } from 'onnxruntime-node';
import { env, InferenceSession as WebSession, Tensor as WebTensor } from 'onnxruntime-web/wasm';
import sharp from 'sharp';
import { median, round, startBenchWorker, weights } from './support.ts';

const SIZE = 256;
const WARM_UP = 3;
const { values } = parseArgs({ options: { rounds: { type: 'string', default: '30' } } });
const rounds = Number(values.rounds);

const manifest = manifestSchema.parse(JSON.parse(readFileSync(`${weights}/dhnet-edge/manifest.json`, 'utf8')));
const variant = wasmVariantOf(manifest);
const onnx = readFileSync(`${weights}/dhnet-edge/${variant.file}`);
const dims = [1, SIZE, SIZE, 3];
const blurred = sharp(readFileSync(new URL('../../fixtures/reds/blur.png', import.meta.url)));
const tile = new Uint8Array(await blurred.extract({ left: 300, top: 200, width: SIZE, height: SIZE }).raw().toBuffer());

const native = await NativeSession.create(onnx, { intraOpNumThreads: 1, interOpNumThreads: 1 });
env.wasm.numThreads = 1;
env.logLevel = 'error';
const { resolve } = createRequire(import.meta.url);
env.wasm.wasmBinary = readFileSync(resolve('onnxruntime-web/ort-wasm-simd-threaded.wasm'));
const web = await WebSession.create(onnx, { executionProviders: ['wasm'], enableMemPattern: false });
const worker = await startBenchWorker();

async function timed(run: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await run();
  return performance.now() - started;
}

/** Timed inside, so that the way to workerd does not count. */
async function workerdMs(): Promise<number> {
  const response = await fetch(`${worker.url}/tile?size=${SIZE}`, { method: 'POST', body: tile });
  if (!response.ok) throw new Error(await response.text());
  await response.arrayBuffer();
  return Number(response.headers.get('x-ms'));
}

try {
  await (await fetch(`${worker.url}/cold`)).text();
  const times: Record<'workerd' | 'web_in_node' | 'native', number[]> = { workerd: [], web_in_node: [], native: [] };
  for (let i = -WARM_UP; i < rounds; i++) {
    const workerd = await workerdMs();
    const webMs = await timed(() => web.run({ [variant.input.name]: new WebTensor('uint8', tile, dims) }));
    const nativeMs = await timed(() => native.run({ [variant.input.name]: new NativeTensor('uint8', tile, dims) }));
    if (i < 0) continue;
    times.workerd.push(workerd);
    times.web_in_node.push(webMs);
    times.native.push(nativeMs);
  }
  const [workerd, webInNode, nativeMs] = [median(times.workerd), median(times.web_in_node), median(times.native)];
  console.log(
    JSON.stringify({
      bench: 'edge-tile',
      model_version: manifest.version.slice(0, 12),
      rounds,
      workerd_ms: round(workerd),
      web_in_node_ms: round(webInNode),
      native_ms: round(nativeMs),
      fastest_ms: {
        workerd: round(Math.min(...times.workerd)),
        web_in_node: round(Math.min(...times.web_in_node)),
        native: round(Math.min(...times.native)),
      },
      workerd_over_web_in_node: round(workerd / webInNode, 2),
      workerd_over_native: round(workerd / nativeMs, 2),
    }),
  );
} finally {
  await worker.stop();
}
