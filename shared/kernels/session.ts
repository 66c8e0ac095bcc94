/** DHNet's own kernels behind the port of the pixel path. */
import { DeblurError } from '../protocol/errors.ts';
import type { Tile, TileSession } from '../pixels/ports.ts';
import { Calls, kernelsOf } from './calls.ts';
import { Network } from './network.ts';
import type { Reserve } from './pack-weights.ts';
import { Arena } from './plan.ts';
import type { Widen } from './safetensors.ts';
import { MEMORY_IMPORT, SCRATCH_END, WASM_PAGE_BYTES } from './scratch.ts';
import { loadWeights } from './weights.ts';

/** Height and width of a tile are multiples of this: PixelUnshuffle by 2, and three levels. */
const PAD_MULTIPLE = 16;

export class KernelSession implements TileSession {
  readonly #network: Network;

  private constructor(network: Network) {
    this.#network = network;
  }

  /**
   * @param module wasm/relaxed.wasm, or wasm/plain.wasm where the engine lacks relaxed SIMD
   * @param weights the model's checkpoint.safetensors
   * @param memoryMaxBytes a tile that needs more fails
   * @throws {DeblurError} `runner_unavailable` when the engine cannot run the module, or the weights are of another architecture
   */
  static async create(module: WebAssembly.Module, weights: Uint8Array, memoryMaxBytes: number): Promise<KernelSession> {
    try {
      const maximum = Math.floor(memoryMaxBytes / WASM_PAGE_BYTES);
      const memory = new WebAssembly.Memory({ initial: 1, maximum });
      const { module: name, name: field } = MEMORY_IMPORT;
      const instance = await WebAssembly.instantiate(module, { [name]: { [field]: memory } });
      const arena = new Arena(memory, SCRATCH_END);
      const calls = new Calls(memory, kernelsOf(instance));
      const reserve: Reserve = (floats) => {
        const address = arena.reserve(floats * Float32Array.BYTES_PER_ELEMENT);
        // `widen` may have used it.
        return { address, values: new Float32Array(memory.buffer, address, floats).fill(0) };
      };
      const widen: Widen = (halves) => calls.widen(halves, arena.borrow(halves.length * 3 + 32));
      return new KernelSession(new Network(calls, loadWeights(weights, reserve, widen), arena.end));
    } catch (cause) {
      if (cause instanceof DeblurError) throw cause;
      throw new DeblurError('runner_unavailable', 'The network cannot be started here.', { cause });
    }
  }

  async run<Samples extends Uint8Array | Float32Array>(tile: Tile<Samples>): Promise<Tile<Samples>> {
    const { width, height, data } = tile;
    if (!(data instanceof Uint8Array)) throw new DeblurError('runner_failed', 'The kernels restore 8-bit tiles only.');
    const whole = width > 0 && height > 0 && width % PAD_MULTIPLE === 0 && height % PAD_MULTIPLE === 0;
    if (!whole || data.length !== width * height * 3) {
      throw new DeblurError('runner_failed', `The kernels take tiles whose sides are multiples of ${PAD_MULTIPLE}.`);
    }
    try {
      // Samples is Uint8Array here, which the compiler does not follow from `data`.
      return { width, height, data: this.#network.run(data, width, height) as Samples };
    } catch (cause) {
      throw new DeblurError('runner_failed', 'The network failed on a tile.', { cause });
    }
  }
}
