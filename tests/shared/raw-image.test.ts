import { applyOrientation, flattenOnWhite, type RawImage } from '@deblur/shared/pixels/raw-image.ts';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { noise, ORIENTATIONS, toSharp } from './support/pictures.ts';

describe('applyOrientation', () => {
  it.each(ORIENTATIONS)('turns as libvips does: %i', async (orientation) => {
    for (const [width, height] of [
      [1, 1],
      [7, 1],
      [13, 8],
    ] as const) {
      for (const channels of [1, 3, 4] as const) {
        const image = noise(width, height, channels);
        const file = await toSharp(image).withMetadata({ orientation }).png().toBuffer();
        const upright = await sharp(file, { ignoreIcc: true }).autoOrient().raw().toBuffer({ resolveWithObject: true });
        const ours = applyOrientation(image, orientation);
        expect([ours.width, ours.height]).toEqual([upright.info.width, upright.info.height]);
        expect((await sharp(file).metadata()).orientation ?? 1).toBe(orientation);
        expect(upright.info.channels, 'sharp may widen grey').toBeGreaterThanOrEqual(channels);
        if (upright.info.channels === channels) expect([...ours.data]).toEqual([...upright.data]);
        else expect([...ours.data]).toEqual([...upright.data].filter((_, i) => i % upright.info.channels === 0));
      }
    }
  });

  it('keeps 16-bit samples', () => {
    const image: RawImage = { width: 2, height: 1, channels: 1, data: Uint16Array.of(1, 65_535) };
    expect(applyOrientation(image, 2).data).toEqual(Uint16Array.of(65_535, 1));
  });

  it.each([0, 1, 9, -3, 2.5, Number.NaN])('takes %d for upright', (orientation) => {
    const image = noise(3, 2, 3);
    expect(applyOrientation(image, orientation)).toBe(image);
  });
});

describe('flattenOnWhite', () => {
  it('shows white where the picture is not', () => {
    const data = Uint8Array.of(10, 20, 30, 0, 10, 20, 30, 255, 0, 100, 200, 128);
    const flat = flattenOnWhite({ width: 3, height: 1, channels: 4, data });
    expect(flat.channels).toBe(3);
    expect([...flat.data]).toEqual([255, 255, 255, 10, 20, 30, 127, 177, 227]);
  });

  it('does so for 16-bit grey, and leaves opaque pictures alone', () => {
    const grey: RawImage = { width: 2, height: 1, channels: 2, data: Uint16Array.of(5, 0, 5, 65_535) };
    expect(flattenOnWhite(grey)).toEqual({ width: 2, height: 1, channels: 1, data: Uint16Array.of(65_535, 5) });
    const opaque = noise(4, 4, 3);
    expect(flattenOnWhite(opaque)).toBe(opaque);
  });
});
