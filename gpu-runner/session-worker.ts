/**
 * A thread with one ONNX Runtime session. `run()` holds its thread until it is done, so it never runs on a thread that
 * has anything else to do. This is the only file that imports onnxruntime-node.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { parentPort } from 'node:worker_threads';
import { env, InferenceSession, Tensor } from 'onnxruntime-node';
import { DeblurError } from '@deblur/shared/errors.ts';
import type { ModelVariant } from '@deblur/shared/model-manifest.ts';
import type { Tile } from '@deblur/shared/ports.ts';
import { serveRpc, type Transferred } from './rpc.ts';
import type { LoadRequest, SessionReply, SessionRequest } from './session-messages.ts';

interface Loaded {
  readonly session: InferenceSession;
  readonly variant: ModelVariant;
}

let loaded: Loaded | undefined;
/** Calls run one after the other, so that a tile's time is its own and not also that of the tile before it. */
let last: Promise<unknown> = Promise.resolve();

if (parentPort === null) throw new Error('session-worker.ts runs as a worker thread');
serveRpc<SessionRequest, SessionReply>(parentPort, (request) => {
  const reply = last.then(() => answer(request));
  last = reply.catch(() => undefined);
  return reply;
});

async function answer(request: SessionRequest): Promise<Transferred<SessionReply>> {
  if (request.kind === 'run') return run(request.tile);
  loaded = await load(request);
  const side = request.warmUpSize;
  const samples =
    request.variant.input.type === 'uint8' ? new Uint8Array(side * side * 3) : new Float32Array(side * side * 3);
  await run({ width: side, height: side, data: samples });
  return { value: { kind: 'loaded' } };
}

async function load({ path, variant, provider, intraOpThreads }: LoadRequest): Promise<Loaded> {
  if (provider === 'cuda') requireCudaProvider();
  env.logLevel = 'error';
  try {
    const session = await InferenceSession.create(path, {
      executionProviders: provider === 'cuda' ? [{ name: 'cuda', deviceId: 0 }] : ['cpu'],
      intraOpNumThreads: intraOpThreads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      // Idle threads would spin on the cores that the other sessions and the codecs need.
      extra: { session: { intra_op: { allow_spinning: '0' } } },
    });
    return { session, variant };
  } catch (cause) {
    throw new DeblurError('runner_unavailable', `The session could not be created on ${provider}: ${reasonOf(cause)}`);
  }
}

/** Asked first, because ONNX Runtime's own message does not say that the file is simply not installed. */
function requireCudaProvider(): void {
  const root = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  const library = join(root, 'bin/napi-v6', process.platform, process.arch, 'libonnxruntime_providers_cuda.so');
  if (existsSync(library)) return;
  throw new DeblurError(
    'runner_unavailable',
    'onnxruntime-node is installed without its CUDA provider (ONNXRUNTIME_NODE_INSTALL=cuda12 installs it)',
  );
}

async function run(tile: Tile): Promise<Transferred<SessionReply>> {
  if (loaded === undefined) throw new DeblurError('runner_unavailable', 'No session is loaded.');
  const { session, variant } = loaded;
  const { input, output } = variant;
  if ((tile.data instanceof Uint8Array ? 'uint8' : 'float32') !== input.type) {
    throw new DeblurError('runner_failed', `The ${variant.id} variant was given a tile of another type.`);
  }
  const start = performance.now();
  const outputs = await session
    .run({ [input.name]: new Tensor(tile.data, [1, tile.height, tile.width, 3]) })
    .catch((cause: unknown) => {
      throw new DeblurError('runner_failed', 'The network failed on a tile.', { cause: reasonOf(cause) });
    });
  const inferMs = performance.now() - start;
  const data = outputs[output.name]?.data;
  if (!(data instanceof Uint8Array || data instanceof Float32Array)) {
    throw new DeblurError('runner_failed', 'The network returned no picture.');
  }
  const restored = { width: tile.width, height: tile.height, data };
  return { value: { kind: 'ran', tile: restored, inferMs }, transfer: [data.buffer as ArrayBuffer] };
}

/** First line of a native message, without folders. */
function reasonOf(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  return message.split('\n', 1)[0]!.replace(/(?:\/[^\s/:]+)+\//g, '');
}
