import { readFile } from 'node:fs/promises';
import { EDGE_SESSION_MEMORY_MAX_BYTES } from '@deblur/shared/limits.ts';
import type { KernelSession } from '@deblur/shared/kernels/session.ts';
import type { TileSession } from '@deblur/shared/pixels/ports.ts';
import { restoreImage } from '@deblur/shared/pixels/restore.ts';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { kernelSession, largestDifference, referenceSession, type Reference } from '../support/kernels.ts';
import { below, randomFrom } from '../support/random.ts';

const fixtures = new URL('../../fixtures/', import.meta.url);
/** Of every kind that the fidelity suite has, and of every way to cut a picture. */
const PICTURES = [
  'photo.png',
  'grey.jpg',
  'noise.png',
  'gradient.png',
  'rgba.png',
  'palette.png',
  'size-1x1.png',
  'size-1x37.png',
  'size-41x1.jpg',
  'size-61x47.jpg',
  'size-257x300.png',
] as const;
const TILING = { size: 192, overlap: 32, padMultiple: 16 };

let reference: Reference;
let kernels: KernelSession;

beforeAll(async () => {
  [reference, kernels] = await Promise.all([referenceSession(), kernelSession()]);
});

function noise(seed: number, width: number, height: number): Uint8Array {
  const random = randomFrom(seed);
  return Uint8Array.from({ length: width * height * 3 }, () => below(random, 256));
}

async function blurredTile(width: number, height: number): Promise<Uint8Array> {
  const picture = sharp(await readFile(new URL('reds/blur.png', fixtures)));
  return new Uint8Array(await picture.extract({ left: 300, top: 200, width, height }).raw().toBuffer());
}

async function restored(session: TileSession, width: number, height: number, data: Uint8Array): Promise<Uint8Array> {
  return (await session.run({ width, height, data: data.slice() })).data;
}

describe('a tile', () => {
  // Widths leave 0, 2 and 4 pixels behind blocks of six at every resolution, and less than a block at the lowest.
  it.each([
    [16, 16],
    [16, 48],
    [32, 16],
    [48, 32],
    [80, 64],
    [96, 16],
    [112, 112],
    [192, 192],
    [256, 32],
  ])('of %i×%i pixels is what ONNX Runtime makes of it, within 1 on every sample', async (width, height) => {
    const photograph = await blurredTile(width, height);
    for (const tile of [photograph, noise(width + height, width, height)]) {
      const expected = await reference.run(tile, width, height);
      expect(largestDifference(await restored(kernels, width, height, tile), expected)).toBeLessThanOrEqual(1);
    }
    // Kernels that returned their input would agree with a network that does nothing.
    const expected = await reference.run(photograph, width, height);
    expect(largestDifference(photograph, expected)).toBeGreaterThan(2);
  });

  it('is the same within 1 without relaxed SIMD', async () => {
    const plain = await kernelSession('plain');
    const tile = await blurredTile(80, 48);
    const expected = await restored(kernels, 80, 48, tile);
    expect(largestDifference(await restored(plain, 80, 48, tile), expected)).toBeLessThanOrEqual(1);
  });

  it('has the same bytes whatever was restored before, in this session or another', async () => {
    const tile = await blurredTile(48, 64);
    const alone = await restored(await kernelSession(), 48, 64, tile);
    await restored(kernels, 96, 80, noise(1, 96, 80));
    expect(await restored(kernels, 48, 64, tile)).toEqual(alone);
    await restored(kernels, 48, 64, noise(2, 48, 64));
    expect(await restored(kernels, 48, 64, tile)).toEqual(alone);
  });
});

describe('a picture', () => {
  it.each(PICTURES)('%s is what ONNX Runtime makes of its tiles, within 1 on every sample', async (file) => {
    const picture = sharp(await readFile(new URL(`fidelity/${file}`, fixtures)), { ignoreIcc: true });
    const { data, info } = await picture
      .removeAlpha()
      .toColourspace('srgb')
      .raw()
      .toBuffer({ resolveWithObject: true });
    const channels = info.channels as 1 | 3;
    const image = { width: info.width, height: info.height, channels, data: new Uint8Array(data) };
    const restoredBy = async (session: TileSession): Promise<Uint8Array> => {
      const { image: result } = await restoreImage(image, { session, tiling: TILING, orientation: 1 });
      return result.data as Uint8Array;
    };
    const oracle: TileSession = {
      run: async (tile) => ({
        ...tile,
        data: (await reference.run(tile.data as Uint8Array, tile.width, tile.height)) as typeof tile.data,
      }),
    };
    expect(largestDifference(await restoredBy(kernels), await restoredBy(oracle))).toBeLessThanOrEqual(1);
  });
});

describe('a session', () => {
  it.each([
    ['floats', { width: 16, height: 16, data: new Float32Array(16 * 16 * 3) }],
    ['a side that is no multiple of 16', { width: 24, height: 16, data: new Uint8Array(24 * 16 * 3) }],
    ['no pixels', { width: 0, height: 16, data: new Uint8Array(0) }],
    ['fewer samples than pixels', { width: 16, height: 16, data: new Uint8Array(16 * 16) }],
  ])('refuses a tile of %s', async (_, tile) => {
    await expect(kernels.run<Uint8Array | Float32Array>(tile)).rejects.toMatchObject({ code: 'runner_failed' });
  });

  it('fails a tile that its memory has no room for, and restores the next', async () => {
    expect(EDGE_SESSION_MEMORY_MAX_BYTES).toBeGreaterThan(12 << 20);
    const small = await kernelSession('relaxed', undefined, 12 << 20);
    const large = { width: 512, height: 512, data: new Uint8Array(512 * 512 * 3) };
    await expect(small.run(large)).rejects.toMatchObject({ code: 'runner_failed' });
    const tile = await blurredTile(32, 32);
    expect(await restored(small, 32, 32, tile)).toEqual(await restored(kernels, 32, 32, tile));
  });
});
