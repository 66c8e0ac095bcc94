/** Calls of the kernels (scripts/kernels) that several layers make. */
import type { Product } from './pack-weights.ts';
import { LARGEST_ADDRESS } from './scratch.ts';
import {
  ONE_PIXEL,
  ringRow,
  VECTOR_BYTES,
  type FeatureMap,
  type Grid,
  type Level,
  type Ring,
  type Statistics,
} from './plan.ts';

type Kernel = (...addresses: number[]) => void;

const KERNELS = [
  'product-plain',
  'product-scaled',
  'product-strided',
  'depthwise',
  'volterra',
  'routed',
  'normalize',
  'sum-row',
  'copy-row',
  'clear',
  'shuffle-add',
  'mix',
  'unshuffle',
  'finish',
  'widen',
] as const;
export type Kernels = Readonly<Record<(typeof KERNELS)[number], Kernel>>;

/** @throws {TypeError} when the module is not one of ours */
export function kernelsOf({ exports }: WebAssembly.Instance): Kernels {
  const missing = KERNELS.find((name) => typeof exports[name] !== 'function');
  if (missing !== undefined) throw new TypeError(`the module exports no ${missing}`);
  return exports as unknown as Kernels;
}

/** A row that a product reads: where it starts, and the offsets of its vectors. */
export interface Input {
  readonly table: number;
  readonly source: number;
  /** Factors of the input vectors; read by `product-scaled`. */
  readonly scale?: number;
}

export interface Output {
  readonly target: number;
  readonly plane: number;
  /** Adds to what is there. */
  readonly keep: boolean;
}

export const rowOf = (map: FeatureMap, y: number): number => map.address + y * map.pitch;

/** The bits of infinity as a binary16. */
const INFINITE_HALF = 0x7c00;

/** Statistics lie as maps of one pixel. */
export const statisticsOutput = (target: number): Output => ({
  target,
  plane: ONE_PIXEL.room * VECTOR_BYTES,
  keep: false,
});

export class Calls {
  readonly memory: WebAssembly.Memory;
  readonly kernels: Kernels;

  constructor(memory: WebAssembly.Memory, kernels: Kernels) {
    this.memory = memory;
    this.kernels = kernels;
  }

  /**
   * The values of binary16 numbers; null when one is infinite or no number.
   * @param at free memory for six bytes of every number, and sixteen more
   */
  widen(halves: Uint8Array, at: number): Float32Array | null {
    const { buffer } = this.memory;
    const count = halves.length / 2;
    const vectors = Math.ceil(count / 4);
    // Behind the last number there are zeros, up to a whole vector.
    new Uint8Array(buffer, at, vectors * 8).fill(0).set(halves);
    this.kernels.widen(at, at + vectors * 8, vectors);
    const largest = Math.max(...new Uint32Array(buffer, LARGEST_ADDRESS, 4));
    return largest < INFINITE_HALF
      ? new Float32Array(buffer.slice(at + vectors * 8, at + vectors * 8 + count * 4))
      : null;
  }

  product(kind: 'plain' | 'scaled' | 'strided', product: Product, input: Input, output: Output, grid: Grid): void {
    this.kernels[`product-${kind}`](
      input.table,
      product.chunks,
      input.source,
      input.scale ?? 0,
      product.weights,
      output.target,
      output.plane,
      product.pairs,
      output.keep ? 1 : 0,
      grid.sixes,
      grid.fours,
    );
  }

  /** A product into row `y` of a ring. What its last block wrote behind the row becomes the border again. */
  productIntoRing(product: Product, input: Input, ring: Ring, y: number, grid: Grid): void {
    const target = ringRow(ring, y) + ring.halo * VECTOR_BYTES;
    this.product('plain', product, input, { target, plane: ring.plane, keep: false }, grid);
    this.clearBorder(ring, y, grid);
  }

  clearBorder(ring: Ring, y: number, { width }: Grid): void {
    this.kernels.clear(ringRow(ring, y) + (ring.halo + width) * VECTOR_BYTES, ring.plane, ring.blocks, ring.margin);
  }

  /** Writes the mean of every channel to `statistics.mean`. */
  mean({ sums, mean }: Statistics, map: FeatureMap, { grid, channels }: Level): void {
    const values = channels * ONE_PIXEL.room;
    const total = new Float32Array(this.memory.buffer, sums, values).fill(0);
    for (let y = 0; y < grid.height; y++) {
      this.kernels['sum-row'](rowOf(map, y), map.plane, sums, map.blocks, grid.width);
    }
    const share = 1 / (grid.width * grid.height);
    const means = new Float32Array(this.memory.buffer, mean, values);
    for (let i = 0; i < values; i++) means[i] = total[i]! * share;
  }
}
