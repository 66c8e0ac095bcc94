/** A thread that does nothing but run the network, with the runner's own settings, and tells its tiles per second. */
import { parentPort, workerData } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { ExecutionProvider } from '../../../gpu-runner/config.ts';
import { sessionOptions } from '../../../gpu-runner/sessions/session-options.ts';

/** Of a large network a few seconds have too few tiles to tell its speed. */
const LEAST_TILES = 20;

interface Settings {
  readonly path: string;
  readonly provider: ExecutionProvider;
  readonly intraOpThreads: number;
  readonly input: string;
  readonly side: number;
  /** Tiles in one run. */
  readonly batch: number;
  readonly seconds: number;
}

const { path, provider, intraOpThreads, input, side, batch, seconds } = workerData as Settings;
const session = await InferenceSession.create(path, sessionOptions(provider, intraOpThreads));
const samples = Uint8Array.from({ length: batch * side * side * 3 }, (_, i) => (i * 31) & 255);
const run = () => session.run({ [input]: new Tensor(samples, [batch, side, side, 3]) });
await run();
const start = performance.now();
let tiles = 0;
while (performance.now() - start < seconds * 1000 || tiles < LEAST_TILES) {
  await run();
  tiles += batch;
}
parentPort?.postMessage((tiles * 1000) / (performance.now() - start));
