import { expect, it } from 'vitest';
import { TileQueue, type QueuedTile } from '../../gpu-runner/sessions/tile-queue.ts';

interface Named extends QueuedTile {
  readonly name: string;
}

function queueOf(...lines: readonly (readonly [client: object, count: number, side?: number])[]): TileQueue<Named> {
  const queue = new TileQueue<Named>();
  for (const [client, count, side = 16] of lines) {
    for (let i = 0; i < count; i++) {
      const tile = { width: side, height: side, data: new Uint8Array(side * side * 3) };
      queue.push({ tile, client, name: `${(client as { name: string }).name}${i}` });
    }
  }
  return queue;
}

const names = (batch: readonly Named[]): string[] => batch.map(({ name }) => name);
const [a, b, c] = [{ name: 'a' }, { name: 'b' }, { name: 'c' }];

it('serves clients in turn, however long their lines are', () => {
  const queue = queueOf([a, 100], [b, 2], [c, 1]);
  const served = Array.from({ length: 7 }, () => names(queue.takeBatch(1))[0]);
  expect(served).toEqual(['a0', 'b0', 'c0', 'a1', 'b1', 'a2', 'a3']);
});

it('lets who comes later wait for one tile of each who was there', () => {
  const queue = queueOf([a, 100], [b, 100]);
  queue.takeBatch(1);
  queue.push({ client: c, name: 'c0', tile: { width: 16, height: 16, data: new Uint8Array(768) } });
  expect([1, 2, 3].map(() => names(queue.takeBatch(1))[0])).toEqual(['b0', 'a1', 'c0']);
});

it('fills a batch from all clients', () => {
  const queue = queueOf([a, 5], [b, 1], [c, 2]);
  expect(names(queue.takeBatch(4))).toEqual(['a0', 'b0', 'c0', 'a1']);
  expect(names(queue.takeBatch(4))).toEqual(['c1', 'a2', 'a3', 'a4']);
  expect(queue.size).toBe(0);
});

it('puts only tiles of one shape into a batch, and forgets nobody', () => {
  const queue = queueOf([a, 2], [b, 2, 32], [c, 2]);
  expect(names(queue.takeBatch(8))).toEqual(['a0', 'c0', 'a1', 'c1']);
  expect(names(queue.takeBatch(8))).toEqual(['b0', 'b1']);
});

it.each([1, 2, 3, 5, 7, 8])('takes a power of two of %i tiles, and leaves the rest', (count) => {
  const queue = queueOf([a, count]);
  const sizes: number[] = [];
  while (queue.size > 0) sizes.push(queue.takeBatch(8).length);
  expect(sizes.reduce((sum, size) => sum + size)).toBe(count);
  for (const size of sizes) expect([1, 2, 4, 8]).toContain(size);
  expect(sizes).toEqual([...sizes].sort((x, y) => y - x));
});

it('gives up a tile that is taken back, and only while it waits', () => {
  const queue = queueOf([a, 2], [b, 1]);
  const [, second] = queue.all();
  expect(queue.remove(second!)).toBe(true);
  expect(queue.remove(second!)).toBe(false);
  expect(names(queue.takeBatch(4))).toEqual(['a0', 'b0']);
  expect(queue.takeBatch(4)).toEqual([]);
});

it('serves what was put back before everything else, in its own order', () => {
  const queue = queueOf([a, 3], [b, 2], [c, 1]);
  const taken = queue.takeBatch(2);
  queue.putBack(taken.slice(1));
  expect(queue.size).toBe(5);
  const served = Array.from({ length: 5 }, () => names(queue.takeBatch(1))[0]);
  expect(served).toEqual(['b0', 'c0', 'a1', 'b1', 'a2']);
});
