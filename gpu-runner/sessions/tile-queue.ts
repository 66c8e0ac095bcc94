/** Tiles that wait for a session, of all pictures at once: handed out in batches, and in turns. */
import type { Tile } from '@deblur/shared/pixels/ports.ts';

export interface QueuedTile {
  readonly tile: Tile;
  /** Whose tile it is: one object per picture. */
  readonly client: object;
}

/**
 * Each client has its own line, and the lines take turns, so that a picture of one tile waits behind one tile of a picture
 * of a thousand and not behind all of them.
 */
export class TileQueue<Queued extends QueuedTile> {
  /** In order of their next turn. No line is empty. */
  readonly #lines = new Map<object, Queued[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(queued: Queued): void {
    const line = this.#lines.get(queued.client);
    if (line === undefined) this.#lines.set(queued.client, [queued]);
    else line.push(queued);
    this.#size++;
  }

  /** @returns false when it waits no more */
  remove(queued: Queued): boolean {
    const line = this.#lines.get(queued.client) ?? [];
    const index = line.indexOf(queued);
    if (index < 0) return false;
    line.splice(index, 1);
    if (line.length === 0) this.#lines.delete(queued.client);
    this.#size--;
    return true;
  }

  /**
   * Tiles for one run: all of one shape, one of each client in turn and round again. Their number is a power of two, so
   * that a session meets few shapes, each of which it may have been warmed up for.
   * @param max from 1
   */
  takeBatch(max: number): Queued[] {
    const candidates = this.#candidates(max);
    const batch = candidates.slice(0, 2 ** Math.floor(Math.log2(candidates.length)));
    for (const queued of batch) {
      const line = this.#lines.get(queued.client) ?? [];
      this.remove(queued);
      // Whoever was served goes to the end.
      this.#lines.delete(queued.client);
      if (line.length > 0) this.#lines.set(queued.client, line);
    }
    return batch;
  }

  /** What was taken and was not run: it comes first again, in its own order. */
  putBack(batch: readonly Queued[]): void {
    for (const queued of [...batch, ...this.drain()]) this.push(queued);
  }

  all(): Queued[] {
    return [...this.#lines.values()].flat();
  }

  /** Everything that waits, which then waits no more. */
  drain(): Queued[] {
    const all = this.all();
    this.#lines.clear();
    this.#size = 0;
    return all;
  }

  /** In the order in which they would be served. */
  #candidates(max: number): Queued[] {
    const lines = [...this.#lines.values()];
    const first = lines[0]?.[0];
    const candidates: Queued[] = [];
    if (first === undefined) return candidates;
    const longest = Math.max(...lines.map(({ length }) => length));
    for (let round = 0; round < longest; round++) {
      for (const line of lines) {
        const queued = line[round];
        if (queued !== undefined && sameShape(queued.tile, first.tile)) candidates.push(queued);
        if (candidates.length === max) return candidates;
      }
    }
    return candidates;
  }
}

function sameShape(a: Tile, b: Tile): boolean {
  return a.width === b.width && a.height === b.height;
}
