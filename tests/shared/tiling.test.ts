import { readFileSync } from 'node:fs';
import { axisWeights, planAxis, planTiles, reflectIndex, type TilingOptions } from '@deblur/shared/pixels/tiling.ts';
import { describe, expect, it } from 'vitest';

const CONFIGURATIONS: readonly TilingOptions[] = [
  { size: 256, overlap: 32, padMultiple: 16 },
  { size: 128, overlap: 42, padMultiple: 32 },
  { size: 96, overlap: 32, padMultiple: 8 },
  { size: 64, overlap: 1, padMultiple: 4 },
  { size: 48, overlap: 16, padMultiple: 16 },
];
const LENGTHS = [...Array.from({ length: 400 }, (_, i) => i + 1), 511, 512, 513, 720, 1000, 1280, 4099, 65_535];
const CASES = CONFIGURATIONS.map((options) => ({ name: `${options.size}/${options.overlap}`, options }));

describe.each(CASES)('an axis in tiles of $name', ({ options }) => {
  const { size, overlap, padMultiple } = options;

  it('has weights that sum to one at every pixel, of at most two tiles', () => {
    for (const length of LENGTHS) {
      const plan = planAxis(length, options);
      const sum = new Float64Array(length);
      const tiles = new Uint8Array(length);
      plan.starts.forEach((start, index) => {
        axisWeights(plan, index).forEach((weight, i) => {
          if (weight === 0) return;
          sum[start + i] = sum[start + i]! + weight;
          tiles[start + i] = tiles[start + i]! + 1;
        });
      });
      const worst = sum.reduce((error, value) => Math.max(error, Math.abs(value - 1)), 0);
      expect(worst, `length ${length}`).toBeLessThanOrEqual(1e-6);
      expect(Math.max(...tiles.subarray(0, 70_000)), `length ${length}`).toBeLessThanOrEqual(2);
    }
  });

  it('has tiles inside the picture that move forward, cover it, and overlap enough', () => {
    for (const length of LENGTHS) {
      const { starts, extent, rampStarts } = planAxis(length, options);
      const context = `length ${length}`;
      expect(extent % padMultiple, context).toBe(0);
      expect(starts[0], context).toBe(0);
      expect(rampStarts.length, context).toBe(starts.length - 1);
      if (length <= size) {
        expect(starts, context).toEqual([0]);
        expect(extent - length, context).toBeLessThan(padMultiple);
        expect(extent, context).toBeGreaterThanOrEqual(length);
        continue;
      }
      expect(extent, context).toBe(size);
      expect(starts.at(-1)! + size, context).toBe(length);
      for (let i = 1; i < starts.length; i++) {
        expect(starts[i]!, context).toBeGreaterThan(starts[i - 1]!);
        expect(starts[i - 1]! + size - starts[i]!, context).toBeGreaterThanOrEqual(overlap);
        expect(rampStarts[i - 1]!, context).toBeGreaterThanOrEqual(starts[i]!);
        expect(rampStarts[i - 1]! + overlap, context).toBeLessThanOrEqual(starts[i - 1]! + size);
      }
    }
  });

  it('has no more tiles than needed', () => {
    for (const length of LENGTHS) {
      const count = planAxis(length, options).starts.length;
      if (count > 1) expect(size + (count - 2) * (size - overlap), `length ${length}`).toBeLessThan(length);
    }
  });
});

describe('the weights of a tile', () => {
  it('rise and fall linearly over the overlap, symmetrically, and end with the picture', () => {
    // Starts 0, 10, 20; overlaps of 6 pixels, ramps of 4 in their middle.
    const plan = planAxis(36, { size: 16, overlap: 4, padMultiple: 4 });
    expect([plan.starts, plan.rampStarts]).toEqual([
      [0, 10, 20],
      [11, 21],
    ]);
    const rise = [0, 0.125, 0.375, 0.625, 0.875];
    const fall = [0.875, 0.625, 0.375, 0.125, 0];
    expect([...axisWeights(plan, 0)]).toEqual([...new Array<number>(11).fill(1), ...fall]);
    expect([...axisWeights(plan, 1)]).toEqual([...rise, ...new Array<number>(6).fill(1), ...fall]);
    expect([...axisWeights(plan, 2)]).toEqual([...rise, ...new Array<number>(11).fill(1)]);
    const short = planAxis(6, { size: 16, overlap: 4, padMultiple: 4 });
    expect([...axisWeights(short, 0)]).toEqual([1, 1, 1, 1, 1, 1, 0, 0]);
  });
});

describe('a plan', () => {
  it('refuses an overlap of more than a third of the tile', () => {
    expect(() => planAxis(1000, { size: 128, overlap: 43, padMultiple: 16 })).toThrow(RangeError);
    expect(() => planAxis(1000, { size: 129, overlap: 43, padMultiple: 16 })).not.toThrow();
  });

  it('counts tiles of both axes', () => {
    const plan = planTiles(700, 300, { size: 256, overlap: 32, padMultiple: 16 });
    expect([plan.x.starts.length, plan.y.starts.length, plan.count]).toEqual([3, 2, 6]);
  });
});

describe('the plan of the Python evaluation', () => {
  interface GoldenPlan {
    readonly length: number;
    readonly tile: number;
    readonly overlap: number;
    readonly pad_multiple: number;
    readonly align?: number;
    readonly starts: readonly number[];
    readonly extents: readonly number[];
    readonly ramp_starts: readonly number[];
  }
  it('is ours, for one tile, two, and many', () => {
    const path = new URL('../../model-export/tiling-golden.json', import.meta.url);
    const golden = JSON.parse(readFileSync(path, 'utf8')) as readonly GoldenPlan[];
    for (const { length, tile, overlap, pad_multiple, align = 1, ...expected } of golden) {
      const plan = planAxis(length, { size: tile, overlap, padMultiple: pad_multiple, align });
      const context = `${length} pixels in tiles of ${tile}/${overlap} at multiples of ${align}`;
      expect(plan.starts, context).toEqual(expected.starts);
      expect(
        plan.starts.map(() => plan.extent),
        context,
      ).toEqual(expected.extents);
      expect(plan.rampStarts, context).toEqual(expected.ramp_starts);
    }
    const counts = golden.map(({ starts }) => starts.length);
    expect(counts).toContain(1);
    expect(counts).toContain(2);
    expect(Math.max(...counts)).toBeGreaterThan(3);
  });
});

describe('reflection', () => {
  it('is numpy.pad(mode="reflect")', () => {
    const at = (length: number) => Array.from({ length: 12 }, (_, i) => reflectIndex(i - 2, length));
    expect(at(5)).toEqual([2, 1, 0, 1, 2, 3, 4, 3, 2, 1, 0, 1]);
    expect(at(2)).toEqual([0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
    expect(at(1)).toEqual(new Array(12).fill(0));
  });
});
