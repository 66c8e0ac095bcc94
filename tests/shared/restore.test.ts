import type { Tile, TileSession } from '@deblur/shared/pixels/ports.ts';
import { applyOrientation, type Channels, type RawImage } from '@deblur/shared/pixels/raw-image.ts';
import type { RestoreOptions } from '@deblur/shared/pixels/restore.ts';
import { planTiles } from '@deblur/shared/pixels/tiling.ts';
import { describe, expect, it } from 'vitest';
import { noise, ORIENTATIONS } from './support/pictures.ts';

import { expectSame, mapping, restore, TILING } from './support/restoring.ts';

const SIZES = [
  [1, 1],
  [1, 700],
  [700, 1],
  [2, 3],
  [16, 15],
  [127, 129],
  [128, 128],
  [129, 128],
  [224, 225],
  [300, 131],
  [700, 600],
] as const;

describe('a network that changes nothing', () => {
  it.each(SIZES)('gives %i×%i back exactly, in every sample type and number of channels', async (width, height) => {
    for (const channels of [1, 2, 3, 4] as const) {
      for (const bits of [8, 16] as const) {
        const image = noise(width, height, channels, bits);
        const restored = await restore(image);
        expectSame(restored.image, image, `${channels} channels, ${bits} bits`);
        expect(restored.tiles).toBe(planTiles(width, height, TILING).count);
      }
    }
  });

  it.each(ORIENTATIONS)('gives the upright picture for orientation %i', async (orientation) => {
    const image = noise(201, 95, 4);
    const { image: restored } = await restore(image, { orientation });
    expectSame(restored, applyOrientation(image, orientation), `orientation ${orientation}`);
  });

  it.each([1, 2, 3, 7, 100])('gives it back with %i tiles in flight, and as floats', async (concurrency) => {
    const image = noise(300, 300, 3);
    expectSame((await restore(image, { concurrency })).image, image, 'bytes');
    expectSame((await restore(image, { concurrency, samples: 'float32' })).image, image, 'floats');
  });
});

describe('where two tiles meet', () => {
  it.each([3, 4] as const)('samples between theirs are rounded to the nearest: %i channels', async (channels) => {
    // Two tiles in a row; the first comes back as 100 everywhere, the second as 101.
    let value = 100;
    const session: TileSession = {
      async run(tile) {
        return { ...tile, data: tile.data.fill(value++) as typeof tile.data };
      },
    };
    const width = 2 * TILING.size - TILING.overlap;
    const { image } = await restore(noise(width, 1, channels), { session });
    const reds = Array.from({ length: width }, (_, x) => image.data[x * channels]);
    // The hand-over goes from 100 + 0.5/32 to 100 + 31.5/32, so its first half is 100 and its second 101.
    expect(reds.indexOf(101)).toBe(width / 2);
    expect(new Set(reds.slice(0, width / 2))).toEqual(new Set([100]));
    expect(new Set(reds.slice(width / 2))).toEqual(new Set([101]));
  });
});

describe('the tiles a network is given', () => {
  async function tilesOf(image: RawImage, options: Partial<RestoreOptions> = {}): Promise<Tile[]> {
    const tiles: Tile[] = [];
    const session: TileSession = { run: async (tile) => (tiles.push({ ...tile, data: tile.data.slice() }), tile) };
    await restore(image, { ...options, session });
    return tiles;
  }

  it('are RGB of one size, bytes for 8 bits and floats in [0, 1] for 16', async () => {
    for (const [bits, type] of [
      [8, Uint8Array],
      [16, Float32Array],
    ] as const) {
      for (const tile of await tilesOf(noise(300, 140, 2, bits))) {
        expect([tile.width, tile.height]).toEqual([128, 128]);
        expect(tile.data).toBeInstanceOf(type);
        expect(tile.data.length).toBe(128 * 128 * 3);
        expect(tile.data.every((value) => value >= 0 && value <= (bits === 8 ? 255 : 1))).toBe(true);
      }
    }
    const floats = await tilesOf(noise(20, 20, 3), { samples: 'float32' });
    expect(floats[0]!.data).toBeInstanceOf(Float32Array);
  });

  it('of a short picture are rounded up to the pad multiple, by reflection', async () => {
    const [tile] = await tilesOf({ width: 3, height: 1, channels: 1, data: Uint8Array.of(10, 20, 30) });
    expect([tile!.width, tile!.height]).toEqual([16, 16]);
    const line = Array.from({ length: 16 }, (_, x) => tile!.data[x * 3]);
    expect(line).toEqual([10, 20, 30, 20, 10, 20, 30, 20, 10, 20, 30, 20, 10, 20, 30, 20]);
    expect(tile!.data.slice(16 * 3, 32 * 3)).toEqual(tile!.data.slice(0, 16 * 3));
  });

  it('never show alpha, and grey three times', async () => {
    const image = noise(40, 40, 2);
    const [tile] = await tilesOf(image);
    for (let x = 0; x < 40; x++) {
      expect([...tile!.data.slice(x * 3, x * 3 + 3)]).toEqual(new Array(3).fill(image.data[x * 2]));
    }
  });
});

describe('what a network returns', () => {
  it.each([1, 2, 3, 4] as const)(
    'leaves alpha as it was and colours changed: %i channels',
    async (channels: Channels) => {
      const image = noise(200, 40, channels);
      const { image: inverted } = await restore(image, { session: mapping((value) => 255 - value) });
      inverted.data.forEach((value, i) => {
        const isAlpha = channels % 2 === 0 && i % channels === channels - 1;
        if (value !== (isAlpha ? image.data[i] : 255 - image.data[i]!)) throw new Error(`sample ${i} is ${value}`);
      });
    },
  );

  it('is clipped to the sample range', async () => {
    const image = noise(30, 30, 3, 16);
    const above = await restore(image, { session: mapping(() => 1.7) });
    const under = await restore(image, { session: mapping(() => -0.3) });
    expect(above.image.data.every((value) => value === 65_535)).toBe(true);
    expect(under.image.data.every((value) => value === 0)).toBe(true);
  });

  it.each([
    [0.5, 128, 32_768],
    [0.25, 64, 16_384],
    [0.2, 51, 13_107],
  ])('is rounded to the nearest sample, halves up: %d', async (value, eight, sixteen) => {
    const session = mapping(() => value);
    const narrow = await restore(noise(2, 2, 3, 8), { session, samples: 'float32' });
    const wide = await restore(noise(2, 2, 3, 16), { session });
    expect([narrow.image.data[0], wide.image.data[0]]).toEqual([eight, sixteen]);
  });

  it('fails the picture when it is not a number, or of another size', async () => {
    const image = noise(300, 300, 3, 16);
    const notANumber = mapping((value, i) => (i === 9999 ? Number.NaN : value));
    await expect(restore(image, { session: notANumber })).rejects.toMatchObject({ code: 'runner_failed' });
    const cut: TileSession = {
      run: async (tile) => ({ ...tile, data: tile.data.slice(3) as typeof tile.data }),
    };
    await expect(restore(image, { session: cut })).rejects.toMatchObject({ code: 'runner_failed' });
  });

  it('makes no seam on a flat picture', async () => {
    const flat: RawImage = { width: 500, height: 400, channels: 3, data: new Uint8Array(600_000).fill(117) };
    const { image } = await restore(flat, { session: mapping((value) => value + 7) });
    expect(image.data.every((value) => value === 124)).toBe(true);
  });

  it('makes no step above the ramp on a gradient when every tile becomes its mean', async () => {
    const width = 700;
    const slope = 65_535 / (width - 1);
    const data = Uint16Array.from({ length: width * 300 }, (_, i) => Math.round((i % width) * slope));
    const mean: TileSession = {
      async run(tile) {
        let sum = 0;
        for (const value of tile.data) sum += value;
        const average = sum / tile.data.length;
        return { ...tile, data: tile.data.map(() => average) as typeof tile.data };
      },
    };
    const { image } = await restore({ width, height: 300, channels: 1, data }, { session: mean });
    // Means of neighbours differ by what lies between their starts; a linear ramp spreads it over the overlap.
    const bound = (slope * (TILING.size - TILING.overlap)) / TILING.overlap + 1;
    let steepest = 0;
    let vertical = 0;
    for (let i = 1; i < image.data.length; i++) {
      if (i % width !== 0) steepest = Math.max(steepest, Math.abs(image.data[i]! - image.data[i - 1]!));
      if (i >= width) vertical = Math.max(vertical, Math.abs(image.data[i]! - image.data[i - width]!));
    }
    expect(vertical, 'rounding of the weights').toBeLessThanOrEqual(1);
    expect(steepest).toBeLessThanOrEqual(bound);
    expect(steepest).toBeGreaterThan(bound / 2);
  });
});
