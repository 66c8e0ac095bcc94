/** The network in workerd: DHNet's own kernels, from the module that was compiled with this Worker. */
import { KernelSession } from '@deblur/shared/kernels/session.ts';
import kernels from '@deblur/shared/kernels/wasm/relaxed.wasm';
import { EDGE_SESSION_MEMORY_MAX_BYTES } from '@deblur/shared/limits.ts';
import type { Tile, TileSession } from '@deblur/shared/pixels/ports.ts';

export class EdgeSession implements TileSession {
  readonly #session: KernelSession;
  /** Milliseconds spent in `run` since the last call of `takeInferMs`. */
  #inferMs = 0;

  private constructor(session: KernelSession) {
    this.#session = session;
  }

  /** @throws {DeblurError} `runner_unavailable` when no session can be made of the weights */
  static async create(weights: Uint8Array): Promise<EdgeSession> {
    return new EdgeSession(await KernelSession.create(kernels, weights, EDGE_SESSION_MEMORY_MAX_BYTES));
  }

  takeInferMs(): number {
    const spent = this.#inferMs;
    this.#inferMs = 0;
    return spent;
  }

  async run<Samples extends Uint8Array | Float32Array>(tile: Tile<Samples>): Promise<Tile<Samples>> {
    const started = performance.now();
    const restored = await this.#session.run(tile);
    // Inference blocks the isolate: others get a turn between tiles. Only then do production clocks move on, too.
    await scheduler.wait(0);
    this.#inferMs += performance.now() - started;
    return restored;
  }
}
