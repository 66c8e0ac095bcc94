/**
 * How a picture is cut into tiles of one fixed size, and how overlapping results come back together without a seam.
 *
 * Along each axis tiles are spread evenly and every two neighbours overlap by at least `overlap` pixels. Where they do, a
 * linear ramp of exactly that width, centred in the overlap, hands over from one to the other: the weights at every
 * pixel sum to one, at most two tiles meet on an axis, and the borders of a tile, where the network has seen the least
 * around a pixel, weigh nothing. model-export/dhnet/evaluation/tiling.py is the same plan for evaluation; tiling-golden.json holds
 * both to it.
 */

export interface TilingOptions {
  /** Tile side in pixels, a multiple of `padMultiple`. */
  readonly size: number;
  /** Width of the hand-over in pixels, from 1 to a third of `size`. */
  readonly overlap: number;
  /** A picture shorter than a tile is continued to a multiple of this; to whole tiles, where it is `size`. */
  readonly padMultiple: number;
  /** Tiles start at multiples of this, which divides `size` and `size - overlap`; the picture is continued to such a length. */
  readonly align?: number;
}

/** Tiles along one axis. */
export interface AxisPlan {
  readonly length: number;
  /** What the network is given along this axis: the tile size, or a short picture rounded up. */
  readonly extent: number;
  readonly starts: readonly number[];
  /** First pixel of the hand-over between tile i and i + 1. */
  readonly rampStarts: readonly number[];
  readonly overlap: number;
}

/**
 * @param length pixels, from 1
 * @throws {RangeError} when the overlap is more than a third of the tile: three tiles would meet, and the weights would
 *   not sum to one
 */
export function planAxis(length: number, { size, overlap, padMultiple, align = 1 }: TilingOptions): AxisPlan {
  if (size < 3 * overlap) throw new RangeError(`tiles of ${size} pixels cannot overlap by ${overlap}`);
  if (length <= size) {
    const extent = Math.ceil(length / padMultiple) * padMultiple;
    return { length, extent, starts: [0], rampStarts: [], overlap };
  }
  const continued = Math.ceil(length / align) * align;
  const count = Math.ceil((continued - overlap) / (size - overlap));
  const startOf = (index: number): number =>
    align * Math.floor((index * (continued - size)) / (align * (count - 1)) + 0.5);
  const starts = Array.from({ length: count }, (_, i) => startOf(i));
  const rampStarts = starts.slice(1).map((next, i) => Math.floor((next + starts[i]! + size - overlap) / 2));
  return { length, extent: size, starts, rampStarts, overlap };
}

/** Weight of each pixel of tile `index` along its axis, from its start, `extent` long; zero beyond the picture. */
export function axisWeights(plan: AxisPlan, index: number): Float32Array {
  const start = plan.starts[index]!;
  const rampIn = plan.rampStarts[index - 1];
  const rampOut = plan.rampStarts[index];
  return Float32Array.from({ length: plan.extent }, (_, i) => {
    const x = start + i;
    if (x >= plan.length) return 0;
    const rising = rampIn === undefined ? 1 : ramp(x - rampIn, plan.overlap);
    const falling = rampOut === undefined ? 1 : 1 - ramp(x - rampOut, plan.overlap);
    return rising * falling;
  });
}

function ramp(offset: number, width: number): number {
  return Math.min(1, Math.max(0, (offset + 0.5) / width));
}

export interface TilePlan {
  readonly x: AxisPlan;
  readonly y: AxisPlan;
  readonly count: number;
}

export function planTiles(width: number, height: number, options: TilingOptions): TilePlan {
  const x = planAxis(width, options);
  const y = planAxis(height, options);
  return { x, y, count: x.starts.length * y.starts.length };
}

/**
 * The picture continued beyond its borders by reflection that does not repeat the edge pixel, as often as needed
 * (numpy's `reflect`); a single pixel is repeated.
 */
export function reflectIndex(index: number, length: number): number {
  if (length === 1) return 0;
  const period = 2 * (length - 1);
  const phase = ((index % period) + period) % period;
  return phase < length ? phase : period - phase;
}

/**
 * Adds up tiles, row of tiles by row of tiles, and hands over finished lines of the picture. It holds one row of tiles,
 * not the picture. Tiles must come in reading order, so that sums, and so bytes, are the same every time.
 */
export class FeatherBlender {
  readonly #plan: TilePlan;
  readonly #emit: (firstLine: number, lines: Float32Array) => void;
  readonly #band: Float32Array;
  readonly #weightsX: readonly Float32Array[];
  /** First line of the picture that is still in the band. */
  #bandTop = 0;

  /** @param emit called with finished lines, RGB interleaved, in the tiles' own units; the array is reused afterwards */
  constructor(plan: TilePlan, emit: (firstLine: number, lines: Float32Array) => void) {
    this.#plan = plan;
    this.#emit = emit;
    this.#band = new Float32Array(plan.x.length * plan.y.extent * 3);
    this.#weightsX = plan.x.starts.map((_, i) => axisWeights(plan.x, i));
  }

  /**
   * Adds all tiles of row `row`, left to right, then emits every line that no later row touches.
   * @returns the first line that was not emitted yet
   */
  async addRow(row: number, tiles: AsyncIterable<Uint8Array | Float32Array>): Promise<number> {
    const { x, y } = this.#plan;
    const weightsY = axisWeights(y, row);
    let column = 0;
    for await (const tile of tiles) {
      this.#add(tile, row, column, weightsY);
      column++;
    }
    if (column !== x.starts.length) throw new Error(`row ${row} has ${column} tiles of ${x.starts.length}`);
    const until = y.rampStarts[row] ?? y.length;
    this.#flush(until);
    return until;
  }

  #add(tile: Uint8Array | Float32Array, row: number, column: number, weightsY: Float32Array): void {
    const { x, y } = this.#plan;
    const weightsX = this.#weightsX[column]!;
    const left = x.starts[column]!;
    const offsetY = y.starts[row]! - this.#bandTop;
    const columns = Math.min(x.extent, x.length - left);
    const band = this.#band;
    for (let ty = 0; ty < y.extent; ty++) {
      const wy = weightsY[ty]!;
      if (wy === 0) continue;
      let source = ty * x.extent * 3;
      let target = ((offsetY + ty) * x.length + left) * 3;
      for (let tx = 0; tx < columns; tx++, source += 3, target += 3) {
        const weight = wy * weightsX[tx]!;
        if (weight === 0) continue;
        band[target] = band[target]! + weight * tile[source]!;
        band[target + 1] = band[target + 1]! + weight * tile[source + 1]!;
        band[target + 2] = band[target + 2]! + weight * tile[source + 2]!;
      }
    }
  }

  #flush(untilLine: number): void {
    const done = (untilLine - this.#bandTop) * this.#plan.x.length * 3;
    this.#emit(this.#bandTop, this.#band.subarray(0, done));
    this.#band.copyWithin(0, done);
    this.#band.fill(0, this.#band.length - done);
    this.#bandTop = untilLine;
  }
}
