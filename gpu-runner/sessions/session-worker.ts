/**
 * A thread with one ONNX Runtime session. `run()` holds its thread until it is done, so it never runs on a thread that
 * has anything else to do. This is the only file that imports onnxruntime-node.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { parentPort } from 'node:worker_threads';
import { env, InferenceSession, Tensor } from 'onnxruntime-node';
import { runnerFailed, sessionFailed } from '@deblur/shared/protocol/errors.ts';
import type { ModelVariant } from '@deblur/shared/protocol/model-manifest.ts';
import { start } from './tile-claim.ts';
import { serveRpc, type Transferred } from '../threads/rpc.ts';
import type { LoadRequest, SessionReply, SessionRequest } from './session-messages.ts';
import { sessionOptions } from './session-options.ts';
import { newTile, type SharedTile } from './shared-tile.ts';

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
  if (request.kind === 'run') {
    return { value: start(request.claim) ? await run(request.tiles) : { kind: 'revoked' } };
  }
  loaded = await load(request);
  const { side, batches } = request.warmUp;
  const blank = (): SharedTile => newTile(request.variant.input.type, side, side);
  for (const size of batches) await run(Array.from({ length: size }, blank));
  return { value: { kind: 'loaded' } };
}

async function load({ path, variant, provider, intraOpThreads }: LoadRequest): Promise<Loaded> {
  if (provider !== 'cpu') requireProvider(provider);
  env.logLevel = 'error';
  try {
    const session = await InferenceSession.create(path, sessionOptions(provider, intraOpThreads));
    return { session, variant };
  } catch (cause) {
    throw sessionFailed(`it cannot be opened on ${provider}: ${reasonOf(cause)}`, cause);
  }
}

const PROVIDER_NAMES = { tensorrt: 'TensorRT', cuda: 'CUDA' } as const;

/** Asked first, because ONNX Runtime's own message does not say that the file is simply not installed. */
function requireProvider(provider: 'tensorrt' | 'cuda'): void {
  const root = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  const folder = join(root, 'bin/napi-v6', process.platform, process.arch);
  if (existsSync(join(folder, `libonnxruntime_providers_${provider}.so`))) return;
  throw sessionFailed(
    `onnxruntime-node is installed without its ${PROVIDER_NAMES[provider]} provider (ONNXRUNTIME_NODE_INSTALL=cuda12 installs it)`,
  );
}

/** @param tiles one batch, all of one shape; their samples are replaced */
async function run(tiles: readonly SharedTile[]): Promise<SessionReply> {
  const [first] = tiles;
  if (loaded === undefined || first === undefined) {
    throw runnerFailed('worker');
  }
  const { session, variant } = loaded;
  const { input, output } = variant;
  if ((first.data instanceof Uint8Array ? 'uint8' : 'float32') !== input.type) {
    throw runnerFailed('tile_type');
  }
  const batch = joined(tiles);
  const start = performance.now();
  const outputs = await session
    .run({ [input.name]: new Tensor(batch, [tiles.length, first.height, first.width, 3]) })
    .catch((cause: unknown) => {
      throw runnerFailed('network', cause);
    });
  const inferMs = performance.now() - start;
  const data = outputs[output.name]?.data;
  if (!(data instanceof Uint8Array || data instanceof Float32Array) || data.length !== batch.length) {
    throw runnerFailed('picture');
  }
  const length = data.length / tiles.length;
  tiles.forEach((tile, i) => tile.data.set(data.subarray(i * length, (i + 1) * length)));
  return { kind: 'ran', inferMs };
}

/** What the tensor is made of; kept while batches stay as large as they are. */
let batchMemory: Uint8Array | Float32Array = new Uint8Array();

function joined(tiles: readonly SharedTile[]): Uint8Array | Float32Array {
  const { data: first } = tiles[0]!;
  const length = first.length * tiles.length;
  if (batchMemory.length !== length) {
    batchMemory = first instanceof Uint8Array ? new Uint8Array(length) : new Float32Array(length);
  }
  tiles.forEach(({ data }, i) => batchMemory.set(data, i * first.length));
  return batchMemory;
}

/** First line of a native message, without folders. */
function reasonOf(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  return message.split('\n', 1)[0]!.replace(/(?:\/[^\s/:]+)+\//g, '');
}
