/** Calls of the kernels (scripts/kernels) that several layers make. */
import type { Product } from './pack-weights.ts';
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
