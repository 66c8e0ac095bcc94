/** Restoring with networks that are plain functions. */
import type { Tile, TileSession } from '@deblur/shared/pixels/ports.ts';
import type { RawImage } from '@deblur/shared/pixels/raw-image.ts';
import { restoreImage, type RestoreOptions } from '@deblur/shared/pixels/restore.ts';
import { expect } from 'vitest';

export const TILING = { size: 128, overlap: 32, padMultiple: 16 };

type Map8 = (value: number, index: number, tile: Tile) => number;

/** A session that changes each sample by itself. */
export function mapping(map: Map8): TileSession {
  return {
    async run(tile) {
      const data = tile.data.slice() as typeof tile.data;
      for (let i = 0; i < data.length; i++) data[i] = map(data[i]!, i, tile);
      return { ...tile, data };
    },
  };
}

export const identity: TileSession = { run: async (tile) => tile };

export function restore(
  image: RawImage,
  options: Partial<RestoreOptions> = {},
): Promise<{ image: RawImage; tiles: number }> {
  return restoreImage(image, { session: identity, tiling: TILING, orientation: 1, ...options });
}

/** Compares without printing half a million numbers when they differ. */
export function expectSame(actual: RawImage, expected: RawImage, context: string): void {
  const { width, height, channels } = expected;
  expect([actual.width, actual.height, actual.channels], context).toEqual([width, height, channels]);
  expect(actual.data.constructor, context).toBe(expected.data.constructor);
  const different = actual.data.findIndex((value, i) => value !== expected.data[i]);
  expect(different, `${context}: first different sample`).toBe(-1);
}
