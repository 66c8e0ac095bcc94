import { expect, it } from 'vitest';
import { newTile, TileSlots, type SharedTile } from '../../gpu-runner/sessions/shared-tile.ts';

/** A tile of nothing but `value`. */
function tile(side: number, value: number, type: 'uint8' | 'float32' = 'uint8'): SharedTile {
  const made = newTile(type, side, side);
  made.data.fill(value);
  return made;
}

it('gives each tile a copy in memory of its own until it is given back', () => {
  const slots = new TileSlots();
  const taken = [1, 2, 3].map((value) => slots.take(tile(16, value)));
  expect(taken.map(({ data }) => [data[0], data.at(-1), data.length])).toEqual(
    [1, 2, 3].map((value) => [value, value, 16 * 16 * 3]),
  );
  expect(new Set(taken.map(({ data }) => data.buffer)).size).toBe(3);
  slots.give(taken[1]!);
  const next = slots.take(tile(16, 4));
  expect(next.data.buffer).toBe(taken[1]!.data.buffer);
  expect(taken.map(({ data }) => data[0])).toEqual([1, 4, 3]);
});

it('finds room for a larger tile and for one of floats, and uses the larger memory for a smaller tile', () => {
  const slots = new TileSlots();
  slots.give(slots.take(tile(16, 1)));
  const floats = slots.take(tile(32, 0.5, 'float32'));
  expect([floats.width, floats.data.length, floats.data[0]]).toEqual([32, 32 * 32 * 3, 0.5]);
  slots.give(floats);
  const small = slots.take(tile(16, 7));
  expect([small.data.buffer, small.data.length]).toEqual([floats.data.buffer, 16 * 16 * 3]);
  expect(small.data.every((value) => value === 7)).toBe(true);
});
