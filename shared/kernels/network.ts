/**
 * DHNet for one tile: model-export/dhnet/model.py as calls of the kernels. Rows go from layer to layer while they are in the
 * cache; whole maps are kept only where a mean over the tile comes in between.
 */
import { runBlocks } from './blocks.ts';
import { rowOf, type Calls } from './calls.ts';
import type { Product } from './pack-weights.ts';
import { planTile, ringRow, VECTOR_BYTES, type Level, type Plan, type Ring } from './plan.ts';
import { PANEL_VECTORS } from './scratch.ts';
import type { Weights } from './weights.ts';

export class Network {
  readonly #calls: Calls;
  readonly #weights: Weights;
  readonly #freeFrom: number;
  #plan: Plan | undefined;

  /** @param freeFrom the first byte of the memory behind the weights */
  constructor(calls: Calls, weights: Weights, freeFrom: number) {
    this.#calls = calls;
    this.#weights = weights;
    this.#freeFrom = freeFrom;
  }

  /**
   * @param tile RGB bytes, line by line; sides are multiples of 16
   * @returns as many bytes
   * @throws {RangeError} when the memory cannot grow to what the tile needs
   */
  run(tile: Uint8Array, width: number, height: number): Uint8Array {
    const calls = this.#calls;
    const plan = this.#planned(width, height);
    const { levels } = plan;
    const { encoders, downs, middle, ups, decoders } = this.#weights;
    const image = new Uint8Array(calls.memory.buffer, plan.image, tile.length);
    image.set(tile);
    this.#intro(plan);
    encoders.forEach((blocks, i) => {
      runBlocks(calls, plan, levels[i]!, blocks);
      this.#down(levels[i]!, levels[i + 1]!, downs[i]!);
    });
    runBlocks(calls, plan, levels.at(-1)!, middle);
    decoders.forEach((blocks, i) => {
      const above = levels[levels.length - 2 - i]!;
      this.#up(levels[levels.length - 1 - i]!, above, ups[i]!);
      runBlocks(calls, plan, above, blocks);
    });
    this.#ending(plan);
    return image.slice();
  }

  #planned(width: number, height: number): Plan {
    if (this.#plan?.width !== width || this.#plan.height !== height) {
      const { width: channels, downs } = this.#weights;
      this.#plan = undefined;
      const request = { width, height, channels, levels: downs.length };
      this.#plan = planTile(this.#calls.memory, this.#freeFrom, request);
    }
    return this.#plan;
  }

  /** PixelUnshuffle by 2, and a 3×3 convolution one row behind it. */
  #intro({ width, image, introRing, gathered, levels: [level] }: Plan): void {
    const { grid, x } = level!;
    const line = width * 3;
    for (let y = -1; y < grid.height; y++) {
      if (y + 1 < grid.height) {
        const first = image + 2 * (y + 1) * line;
        const target = ringRow(introRing, y + 1) + VECTOR_BYTES;
        this.#calls.kernels.unshuffle(first, first + line, target, introRing.plane, grid.width);
      }
      if (y < 0) continue;
      this.#gatherTaps(introRing, y, gathered, this.#weights.intro);
      const output = { target: rowOf(x, y), plane: x.plane, keep: false };
      this.#calls.product('plain', this.#weights.intro, { table: gathered, source: 0 }, output, grid);
    }
  }

  /** A 3×3 convolution, PixelShuffle by 2, and the addition to the picture. */
  #ending({ width, image, endingRing, residual, gathered, levels: [level] }: Plan): void {
    const { grid, x } = level!;
    const { kernels } = this.#calls;
    const line = width * 3;
    for (let y = -1; y < grid.height; y++) {
      if (y + 1 < grid.height) {
        const target = ringRow(endingRing, y + 1) + VECTOR_BYTES;
        kernels['copy-row'](rowOf(x, y + 1), x.plane, target, endingRing.plane, x.blocks, grid.width);
      }
      if (y < 0) continue;
      this.#gatherTaps(endingRing, y, gathered, this.#weights.ending);
      const output = { target: residual.address, plane: residual.plane, keep: false };
      this.#calls.product('plain', this.#weights.ending, { table: gathered, source: 0 }, output, grid);
      const first = image + 2 * y * line;
      kernels.finish(residual.address, residual.plane, first, first + line, grid.width);
    }
  }

  /** The addresses that a 3×3 convolution reads for the first pixel of row `y`. The last chunk is filled up; its weights are zero there. */
  #gatherTaps(ring: Ring, y: number, table: number, { chunks }: Product): void {
    const addresses = new Int32Array(this.#calls.memory.buffer, table, chunks * PANEL_VECTORS);
    let at = 0;
    for (let ky = -1; ky <= 1; ky++) {
      const row = ringRow(ring, y + ky);
      for (let kx = 0; kx < 3; kx++) {
        for (let block = 0; block < ring.blocks; block++) {
          addresses[at++] = row + kx * VECTOR_BYTES + block * ring.plane;
        }
      }
    }
    addresses.fill(ringRow(ring, y), at);
  }

  #down(from: Level, to: Level, product: Product): void {
    for (let y = 0; y < to.grid.height; y++) {
      const input = { table: from.downTable, source: rowOf(from.x, 2 * y) };
      const output = { target: rowOf(to.x, y), plane: to.x.plane, keep: false };
      this.#calls.product('strided', product, input, output, to.grid);
    }
  }

  /** A product, PixelShuffle by 2, and the addition to what the level above has kept. */
  #up(from: Level, to: Level, product: Product): void {
    const { grid, row } = from;
    const { blocks, plane } = to.x;
    for (let y = 0; y < grid.height; y++) {
      const output = { target: row.address, plane: row.plane, keep: false };
      this.#calls.product('plain', product, { table: from.table, source: rowOf(from.x, y) }, output, grid);
      for (let place = 0; place < 4; place++) {
        const source = row.address + place * blocks * row.plane;
        const target = rowOf(to.x, 2 * y + (place >> 1)) + (place % 2) * VECTOR_BYTES;
        this.#calls.kernels['shuffle-add'](source, row.plane, target, plane, blocks, grid.width);
      }
    }
  }
}
