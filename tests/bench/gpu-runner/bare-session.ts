/** A thread that does nothing but run the network, with the runner's own settings, and tells its tiles per second. */
import { parentPort, workerData } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { ExecutionProvider } from '../../../gpu-runner/session-messages.ts';
import { sessionOptions } from '../../../gpu-runner/session-options.ts';

/** Of a large network a few seconds have too few tiles to tell its speed. */
const LEAST_TILES = 20;

const { path, provider, input, side, seconds } = workerData as {
  path: string;
  provider: ExecutionProvider;
  input: string;
  side: number;
  seconds: number;
};
const session = await InferenceSession.create(path, sessionOptions(provider, 1));
const samples = Uint8Array.from({ length: side * side * 3 }, (_, i) => (i * 31) & 255);
const run = () => session.run({ [input]: new Tensor(samples, [1, side, side, 3]) });
await run();
const start = performance.now();
let tiles = 0;
while (performance.now() - start < seconds * 1000 || tiles < LEAST_TILES) {
  await run();
  tiles++;
}
parentPort?.postMessage((tiles * 1000) / (performance.now() - start));
