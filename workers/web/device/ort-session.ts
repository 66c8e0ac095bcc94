/**
 * This page's only import of onnxruntime-web, for WebGPU: the build with JSPI (JavaScript Promise Integration) fits a static
 * asset's 25 MiB. It is a chunk of its own beside its binary, so it is downloaded only where it runs.
 */
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import type { ModelVariant } from '@deblur/shared/protocol/model-manifest.ts';
import type { Tile, TileSession } from '@deblur/shared/pixels/ports.ts';
import type * as OrtModule from 'onnxruntime-web';
import glueUrl from 'onnxruntime-web/ort-wasm-simd-threaded.jspi.mjs?url';
import wasmUrl from 'onnxruntime-web/ort-wasm-simd-threaded.jspi.wasm?url';

type Ort = typeof OrtModule;

/** WebGPU here means an adapter that is not a processor in disguise, and JSPI, which the build that fits relies on. */
export async function hasWebGpu(acceptSoftware: boolean): Promise<boolean> {
  if (!('Suspending' in WebAssembly) || !('gpu' in navigator)) return false;
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  if (adapter === null) return false;
  const { isFallbackAdapter, architecture } = adapter.info;
  return acceptSoftware || !(isFallbackAdapter || architecture === 'swiftshader');
}

export class OrtSession implements TileSession {
  readonly #session: OrtModule.InferenceSession;
  readonly #tensor: Ort['Tensor'];
  readonly #variant: ModelVariant;

  private constructor(ort: Ort, session: OrtModule.InferenceSession, variant: ModelVariant) {
    this.#tensor = ort.Tensor;
    this.#session = session;
    this.#variant = variant;
  }

  /** @throws {DeblurError} `runner_failed` when WebGPU cannot be started or does not take the graph */
  static async create(model: Uint8Array, variant: ModelVariant): Promise<OrtSession> {
    try {
      const ort = await loadOrt();
      const session = await ort.InferenceSession.create(model, {
        executionProviders: ['webgpu'],
        logSeverityLevel: 3,
      });
      return new OrtSession(ort, session, variant);
    } catch (error) {
      throw new DeblurError('runner_failed', 'The network could not be started on this device.', { cause: error });
    }
  }

  async run<Samples extends Uint8Array | Float32Array>(tile: Tile<Samples>): Promise<Tile<Samples>> {
    const { input, output } = this.#variant;
    const { width, height } = tile;
    const given = new this.#tensor(input.type, tile.data, [1, height, width, 3]);
    const results = await this.#session.run({ [input.name]: given }).catch((cause: unknown) => {
      throw new DeblurError('runner_failed', 'The network stopped on this device.', { cause });
    });
    return { width, height, data: samplesOf(results[output.name], tile.data) };
  }

  /** One tile at a time: the device is busy with one. */
  readonly concurrency = 1;

  /** Gives the session's memory back. */
  async release(): Promise<void> {
    await this.#session.release();
  }
}

async function loadOrt(): Promise<Ort> {
  const ort = await import('onnxruntime-web/jspi');
  ort.env.logLevel = 'error';
  ort.env.wasm.wasmPaths = { mjs: absolute(glueUrl), wasm: absolute(wasmUrl) };
  ort.env.wasm.numThreads = 1;
  return ort;
}

/** ONNX Runtime resolves a path against its own chunk, which lies in a folder. */
function absolute(url: string): string {
  return new URL(url, globalThis.location.origin).href;
}

/** A driver at fault gives NaN, which would become a black picture without an error. */
function samplesOf<Samples extends Uint8Array | Float32Array>(
  result: OrtModule.Tensor | undefined,
  like: Samples,
): Samples {
  const data = result?.data;
  const same = like instanceof Uint8Array ? data instanceof Uint8Array : data instanceof Float32Array;
  if (!same || (data instanceof Float32Array && data.some(Number.isNaN))) {
    throw new DeblurError('runner_failed', 'The network gave no usable result on this device.');
  }
  return data as Samples;
}
