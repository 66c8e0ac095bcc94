import { filteredLines, pngHeader } from '@deblur/shared/pixels/png-lines.ts';
import { expect, it } from 'vitest';
import { noise } from './support/pictures.ts';

/** PNG, third edition, § 9.4, as it stands there. */
function paethPredictor(a: number, b: number, c: number): number {
  const p = a + b - c;
  const [pa, pb, pc] = [Math.abs(p - a), Math.abs(p - b), Math.abs(p - c)];
  if (pa <= pb && pa <= pc) return a;
  return pb <= pc ? b : c;
}

it('are filtered as the specification says, for every left, upper and upper left neighbour', () => {
  // Two lines of a grey picture with every triple of a, b and c from a few values, ties included.
  const values = [0, 1, 2, 3, 100, 127, 128, 129, 254, 255];
  for (const a of values) {
    for (const b of values) {
      for (const c of values) {
        const image = { width: 2, height: 2, channels: 1, data: Uint8Array.of(c, b, a, 77) } as const;
        const expected = [4, c, (b - c) & 255, 4, (a - c) & 255, (77 - paethPredictor(a, b, c)) & 255];
        expect([...filteredLines(image, 0, 2)], `${a} ${b} ${c}`).toEqual(expected);
      }
    }
  }
});

it('go on from the line above, and have the high byte of 16 bits first', () => {
  const image = noise(9, 7, 4, 16);
  const whole = filteredLines(image, 0, 7);
  const parts = [filteredLines(image, 0, 3), filteredLines(image, 3, 4), filteredLines(image, 4, 7)];
  expect(Buffer.concat(parts).equals(whole)).toBe(true);
  const [first, second] = [image.data[0]!, image.data[4]!];
  expect([...whole.subarray(0, 3)]).toEqual([4, first >> 8, first & 255]);
  expect(whole[1 + 8]).toBe(((second >> 8) - (first >> 8)) & 255);
});

it('follow a header with size, depth and colour type', () => {
  const headers = ([1, 2, 3, 4] as const).map((channels) => [...pngHeader(noise(300, 2, channels))]);
  expect(headers).toEqual([0, 4, 2, 6].map((colour) => [0, 0, 1, 44, 0, 0, 0, 2, 8, colour, 0, 0, 0]));
  expect(pngHeader(noise(1, 1, 3, 16))[8]).toBe(16);
});
