/**
 * Where everything of one tile size lies in linear memory, planned once.
 *
 * A map is kept row by row; in a row, vector by vector of four channels; in each, pixel by pixel ("plane" is the bytes from one
 * vector to the next). So a kernel works on one row in the cache, and finds neighbours at constant distances.
 */
import { PANEL_VECTORS, WASM_PAGE_BYTES } from './scratch.ts';

export const VECTOR_BYTES = 16;
const LANES = 4;
const CACHE_LINE_BYTES = 64;
/** Growing may copy the whole memory: rarely, then. */
const GROWTH_BYTES = 1 << 20;

/** Linear memory, handed out from its start to its end, and grown when it is too small. */
export class Arena {
  readonly #memory: WebAssembly.Memory;
  #end: number;

  constructor(memory: WebAssembly.Memory, start: number) {
    this.#memory = memory;
    this.#end = start;
  }

  get end(): number {
    return this.#end;
  }

  /** @returns the address @throws {RangeError} when the memory cannot grow as far */
  reserve(bytes: number): number {
    const address = this.borrow(bytes);
    this.#end = address + bytes;
    return address;
  }

  /** Memory that is used at once: the next call hands it out again. @throws {RangeError} as `reserve` */
  borrow(bytes: number): number {
    const address = Math.ceil(this.#end / CACHE_LINE_BYTES) * CACHE_LINE_BYTES;
    const missing = address + bytes - this.#memory.buffer.byteLength;
    if (missing > 0) this.#memory.grow(Math.ceil(missing / GROWTH_BYTES) * (GROWTH_BYTES / WASM_PAGE_BYTES));
    return address;
  }
}

/** The size of a map, and the blocks of pixels that a product takes a row in; they may end behind the row. */
export interface Grid {
  readonly width: number;
  readonly height: number;
  readonly sixes: number;
  readonly fours: number;
  /** Pixels that a row has room for. */
  readonly room: number;
}

export function planGrid(width: number, height: number): Grid {
  const choices = [0, 1, 2].map((fours) => ({ fours, sixes: Math.max(0, Math.ceil((width - 4 * fours) / 6)) }));
  const pixels = ({ sixes, fours }: { sixes: number; fours: number }): number => 6 * sixes + 4 * fours;
  const best = choices.reduce((a, b) => (pixels(b) < pixels(a) ? b : a));
  return { width, height, ...best, room: Math.max(pixels(best), Math.ceil(width / 4) * 4) };
}

export interface FeatureMap {
  readonly address: number;
  readonly blocks: number;
  readonly plane: number;
  /** Bytes of a row. */
  readonly pitch: number;
}

export function planMap(arena: Arena, { room }: Grid, channels: number, rows: number): FeatureMap {
  const blocks = channels / LANES;
  const plane = room * VECTOR_BYTES;
  const pitch = blocks * plane;
  return { address: arena.reserve(rows * pitch), blocks, plane, pitch };
}

/** The last rows of a map with a border of zeros, for filters. A row outside the map is the row of zeros. */
export interface Ring extends FeatureMap {
  readonly rows: number;
  readonly halo: number;
  /** Pixels from the last one of the map to the end of a plane. */
  readonly margin: number;
  readonly zeros: number;
  readonly height: number;
}

export function planRing(arena: Arena, grid: Grid, channels: number, rows: number, halo: number): Ring {
  const blocks = channels / LANES;
  // Blocks of pixels may end up to three pixels behind the row, and read a border's width more.
  const pixels = halo + grid.room + halo + 3;
  const plane = pixels * VECTOR_BYTES;
  const pitch = blocks * plane;
  const address = arena.reserve((rows + 1) * pitch);
  const margin = pixels - halo - grid.width;
  return { address, blocks, plane, pitch, rows, halo, margin, zeros: address + rows * pitch, height: grid.height };
}

/** Where row `y` of a ring begins, with its border. */
export function ringRow(ring: Ring, y: number): number {
  return y < 0 || y >= ring.height ? ring.zeros : ring.address + (y % ring.rows) * ring.pitch;
}

/** What is needed at one resolution. */
export interface Level {
  readonly grid: Grid;
  readonly channels: number;
  readonly x: FeatureMap;
  /** Volterra's output before the attention; all levels share the memory. */
  readonly filtered: FeatureMap;
  /** One row: normalized, or what a PixelShuffle takes in. */
  readonly row: FeatureMap;
  /** Two rows between the routed filter and its pointwise product. */
  readonly pair: FeatureMap;
  readonly expanded: Ring;
  readonly local: Ring;
  readonly fused: Ring;
  /** Offsets of a row's vectors; and of those that a 2×2 convolution with stride 2 reads. */
  readonly table: number;
  readonly downTable: number;
}

/** Vectors of one value per channel, as maps of one pixel (and three unused ones). */
export interface Statistics {
  readonly sums: number;
  readonly mean: number;
  readonly factors: number;
  readonly table: number;
}

export interface Plan {
  readonly width: number;
  readonly height: number;
  /** The tile's bytes with nothing between the lines. */
  readonly image: number;
  readonly levels: readonly Level[];
  readonly introRing: Ring;
  readonly endingRing: Ring;
  readonly residual: FeatureMap;
  /** Absolute addresses, written anew for each row. */
  readonly gathered: number;
  readonly rows: number;
  readonly statistics: Statistics;
  /** One routed filter, mixed for the picture. */
  readonly mixed: number;
}

export interface PlanRequest {
  readonly width: number;
  readonly height: number;
  /** Channels at full resolution, doubled at each of the levels below. */
  readonly channels: number;
  readonly levels: number;
}

/** One pixel as a grid: statistics go through the same products as maps. */
export const ONE_PIXEL: Grid = { width: 1, height: 1, sixes: 0, fours: 1, room: 4 };

/** Plans a tile of `width` × `height` pixels with `levels` resolutions above the lowest; the memory planned for is zeroed. */
export function planTile(memory: WebAssembly.Memory, start: number, request: PlanRequest): Plan {
  const { width, height, channels, levels } = request;
  const arena = new Arena(memory, start);
  const table = (offsets: readonly number[]): number => {
    const address = arena.reserve(offsets.length * Int32Array.BYTES_PER_ELEMENT);
    tables.push({ address, offsets });
    return address;
  };
  const tables: { readonly address: number; readonly offsets: readonly number[] }[] = [];
  const top = planGrid(width / 2, height / 2);
  const filtered = arena.reserve(planBytes(top, channels));
  const plan = {
    width,
    height,
    image: arena.reserve(width * height * 3),
    levels: Array.from({ length: levels + 1 }, (_, level) =>
      planLevel(arena, planGrid(top.width >> level, top.height >> level), channels << level, filtered, table),
    ),
    introRing: planRing(arena, top, 12, 3, 1),
    endingRing: planRing(arena, top, channels, 3, 1),
    residual: planMap(arena, top, 16, 1),
    gathered: arena.reserve(roundUp(9 * Math.max(3, channels / LANES), PANEL_VECTORS) * 4),
    rows: arena.reserve(10 * 4),
    statistics: planStatistics(arena, channels << levels, table),
    mixed: arena.reserve(((channels << levels) / LANES) * 82 * VECTOR_BYTES),
  };
  new Uint8Array(memory.buffer, start, arena.end - start).fill(0);
  for (const { address, offsets } of tables) new Int32Array(memory.buffer, address, offsets.length).set(offsets);
  return plan;
}

type WriteTable = (offsets: readonly number[]) => number;

function planLevel(arena: Arena, grid: Grid, channels: number, filtered: number, table: WriteTable): Level {
  const x = planMap(arena, grid, channels, grid.height);
  const vectors = Array.from({ length: x.blocks }, (_, block) => block * x.plane);
  const corners = [0, VECTOR_BYTES, x.pitch, x.pitch + VECTOR_BYTES];
  return {
    grid,
    channels,
    x,
    filtered: { ...x, address: filtered },
    row: planMap(arena, grid, 2 * channels, 1),
    pair: planMap(arena, grid, channels, 2),
    expanded: planRing(arena, grid, 2 * channels, 3, 1),
    local: planRing(arena, grid, 2 * channels, 3, 1),
    fused: planRing(arena, grid, channels, 10, 4),
    table: table(vectors),
    downTable: table(corners.flatMap((corner) => vectors.map((vector) => corner + vector))),
  };
}

function planStatistics(arena: Arena, channels: number, table: WriteTable): Statistics {
  const vector = (): number => planMap(arena, ONE_PIXEL, channels, 1).address;
  const offsets = Array.from({ length: channels / LANES }, (_, block) => block * ONE_PIXEL.room * VECTOR_BYTES);
  return { sums: vector(), mean: vector(), factors: vector(), table: table(offsets) };
}

/** Of the whole map at the top; lower ones are smaller. */
function planBytes({ room, height }: Grid, channels: number): number {
  return room * height * channels * Float32Array.BYTES_PER_ELEMENT;
}

const roundUp = (count: number, step: number): number => Math.ceil(count / step) * step;
