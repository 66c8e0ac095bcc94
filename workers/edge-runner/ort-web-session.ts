/**
 * The network in workerd: ONNX Runtime's WebAssembly build on one thread. This Worker's only import of onnxruntime-web.
 *
 * The bundle with embedded glue (`/wasm`) is taken: it neither fetches nor asks for `import.meta.url`, which workerd
 * leaves undefined. What the glue still expects of a browser is given to it in `withOrtGlobals`.
 */
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import { EDGE_SESSION_MEMORY_MAX_BYTES } from '@deblur/shared/limits.ts';
import type { ModelVariant } from '@deblur/shared/protocol/model-manifest.ts';
import type { Tile, TileSession } from '@deblur/shared/pixels/ports.ts';
import { env, InferenceSession, Tensor } from 'onnxruntime-web/wasm';
import ortWasm from './dist/wasm/ort.wasm';
import { WASM_PAGE_BYTES } from './wasm-memory.ts';

/**
 * Creates sessions, one after the other: ONNX Runtime initialises once per isolate and is not re-entrant, and a failed
 * initialisation stays failed. The caller makes sure that nothing else runs WebAssembly meanwhile.
 */
export async function createOrtSession(model: Uint8Array, variant: ModelVariant): Promise<OrtWebSession> {
  if (variant.input.type !== 'uint8') throw new DeblurError('runner_failed', 'The edge takes bytes only.');
  env.wasm.numThreads = 1;
  env.wasm.proxy = false;
  // Never read: a present binary makes ONNX Runtime take the embedded glue and fetch nothing.
  env.wasm.wasmBinary = new Uint8Array(1);
  env.logLevel = 'error';
  const session = await withOrtGlobals(() =>
    InferenceSession.create(model, {
      executionProviders: ['wasm'],
      graphOptimizationLevel: 'all',
      executionMode: 'sequential',
      // A pattern is planned for each input shape and kept: memory for speed that one thread does not have.
      enableMemPattern: false,
    }),
  );
  return new OrtWebSession(session, variant);
}

class OrtWebSession implements TileSession {
  readonly #session: InferenceSession;
  readonly #variant: ModelVariant;
  /** Milliseconds spent in `run` since the last call of `takeInferMs`. */
  #inferMs = 0;
  #broken = false;

  constructor(session: InferenceSession, variant: ModelVariant) {
    this.#session = session;
    this.#variant = variant;
  }

  /** A run failed. What it had allocated is lost inside ONNX Runtime's memory, so neither this session nor another is safe. */
  get broken(): boolean {
    return this.#broken;
  }

  takeInferMs(): number {
    const spent = this.#inferMs;
    this.#inferMs = 0;
    return spent;
  }

  async run<Samples extends Uint8Array | Float32Array>(tile: Tile<Samples>): Promise<Tile<Samples>> {
    const { width, height, data } = tile;
    const { input, output } = this.#variant;
    const started = performance.now();
    let restored: Tensor | undefined;
    try {
      const results = await this.#session.run({ [input.name]: new Tensor(input.type, data, [1, height, width, 3]) });
      restored = results[output.name];
    } catch (cause) {
      this.#broken = true;
      throw new DeblurError('runner_failed', 'The network failed on a tile.', { cause });
    }
    // Inference blocks the isolate: others get a turn between tiles. Only then do production clocks move on, too.
    await scheduler.wait(0);
    this.#inferMs += performance.now() - started;
    if (!(restored?.data instanceof Uint8Array) || !(data instanceof Uint8Array)) {
      throw new DeblurError('runner_failed', 'The edge restores 8-bit tiles only.');
    }
    // Samples is Uint8Array here, which the compiler does not follow from `data`.
    return { width, height, data: restored.data as Samples };
  }
}

export type { OrtWebSession };

/**
 * Runs `create` with three globals replaced until ONNX Runtime has its module:
 * - WebAssembly.instantiate: workerd forbids compiling bytes; the module that was compiled with this Worker is used.
 * - WebAssembly.Memory: an unshared memory with a hard maximum (the module is built for it, see build/), so that running
 *   out of memory is an error that can be caught and not the end of the isolate.
 * - Atomics.waitAsync: it takes shared memory only; the glue does without when it is missing.
 */
async function withOrtGlobals<Result>(create: () => Promise<Result>): Promise<Result> {
  const { instantiate, Memory } = WebAssembly;
  const { waitAsync } = Atomics;
  const restore = (): void => {
    Object.assign(WebAssembly, { instantiate, Memory });
    Object.assign(Atomics, { waitAsync });
  };
  Object.assign(WebAssembly, {
    instantiate: async (_bytes: unknown, imports: WebAssembly.Imports) => {
      restore();
      return { module: ortWasm, instance: await instantiate(ortWasm, imports) };
    },
    Memory: function (descriptor: WebAssembly.MemoryDescriptor) {
      const maximum = EDGE_SESSION_MEMORY_MAX_BYTES / WASM_PAGE_BYTES;
      return new Memory({ initial: descriptor.initial, maximum });
    },
  });
  Object.assign(Atomics, { waitAsync: undefined });
  try {
    return await create();
  } finally {
    restore();
  }
}
