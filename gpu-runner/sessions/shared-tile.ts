/**
 * Tiles in memory that threads share: a tile goes from its picture to a session and back as a message of a few bytes, and
 * its samples stay where they are. Buffers that move from thread to thread are new ones for every tile and hop, and every
 * thread that held one has it to collect.
 */
import type { Tile } from '@deblur/shared/pixels/ports.ts';

/** A tile whose samples the session replaces by what it makes of them. */
export type SharedTile = Tile<Uint8Array<SharedArrayBuffer> | Float32Array<SharedArrayBuffer>>;

/** A black tile. */
export function newTile(type: 'uint8' | 'float32', width: number, height: number): SharedTile {
  const samples = width * height * 3;
  return { width, height, data: view(type, new SharedArrayBuffer(type === 'uint8' ? samples : 4 * samples), samples) };
}

/** A picture thread's memory for the tiles that its pictures have in flight; it stays from one picture to the next. */
export class TileSlots {
  readonly #free: SharedArrayBuffer[] = [];

  /** @returns a copy of the tile, in memory that is this tile's until `give` */
  take({ width, height, data }: Tile): SharedTile {
    const free = this.#free.pop();
    const memory =
      free !== undefined && free.byteLength >= data.byteLength ? free : new SharedArrayBuffer(data.byteLength);
    const copy = view(data instanceof Uint8Array ? 'uint8' : 'float32', memory, data.length);
    copy.set(data);
    return { width, height, data: copy };
  }

  give({ data }: SharedTile): void {
    this.#free.push(data.buffer);
  }
}

function view(type: 'uint8' | 'float32', memory: SharedArrayBuffer, samples: number): SharedTile['data'] {
  return type === 'uint8' ? new Uint8Array(memory, 0, samples) : new Float32Array(memory, 0, samples);
}
