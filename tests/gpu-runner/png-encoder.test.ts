/** Our PNG, read back by libpng. */
import type { Channels, RawImage } from '@deblur/shared/pixels/raw-image.ts';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { encodePng, PngEncoder } from '../../gpu-runner/pictures/png-encoder.ts';
import { noise } from '../shared/support/pictures.ts';
import { below, randomFrom } from '../shared/support/random.ts';
import { fixture } from './support/images.ts';

async function decoded(file: Uint8Array, channels: Channels, bits: 8 | 16): Promise<RawImage['data']> {
  const picture = sharp(file, { failOn: 'warning' });
  expect(await picture.metadata()).toMatchObject({ channels, depth: bits === 8 ? 'uchar' : 'ushort' });
  if (bits === 16) {
    const raw = picture.toColourspace(channels <= 2 ? 'grey16' : 'rgb16').raw({ depth: 'ushort' });
    return new Uint16Array(new Uint8Array(await raw.toBuffer()).buffer);
  }
  // As `b-w`, libvips drops alpha; as `srgb` it comes along, and grey three times.
  const rgb = channels === 1 ? picture.toColourspace('b-w') : picture.toColourspace('srgb');
  const data = new Uint8Array(await rgb.raw().toBuffer());
  return channels === 2 ? data.filter((_, i) => i % 4 === 0 || i % 4 === 3) : data;
}

/** Noise has every filter byte there is; a slope is what predictors are for. */
function pictures(width: number, height: number, channels: Channels, bits: 8 | 16): RawImage[] {
  const random = noise(width, height, channels, bits);
  const slope = { ...random, data: random.data.map((_, i) => (i * (bits === 8 ? 1 : 300)) & (2 ** bits - 1)) };
  return [random, slope];
}

describe('a PNG', () => {
  it.each([
    [1, 1],
    [1, 40],
    [40, 1],
    [257, 33],
  ])('of %i×%i is what libpng reads, in every number of channels and both depths', async (width, height) => {
    for (const channels of [1, 2, 3, 4] as const) {
      for (const bits of [8, 16] as const) {
        for (const image of pictures(width, height, channels, bits)) {
          const actual = await decoded(await encodePng(image), channels, bits);
          expect(actual.length).toBe(image.data.length);
          expect(actual.findIndex((sample, i) => sample !== image.data[i])).toBe(-1);
        }
      }
    }
  });

  it('is the same file in whatever portions its lines come', async () => {
    const image = noise(301, 260, 3);
    const whole = await encodePng(image);
    for (let seed = 1; seed <= 5; seed++) {
      const random = randomFrom(seed);
      const encoder = new PngEncoder();
      for (let until = 0; until < image.height;) {
        until = Math.min(image.height, until + below(random, 90));
        await encoder.write(image, until);
      }
      expect(Buffer.from(await encoder.finish(image)).equals(whole), `seed ${seed}`).toBe(true);
      encoder.close();
    }
  });

  it('is not finished before its last line', async () => {
    const image = noise(20, 20, 3);
    const encoder = new PngEncoder();
    await encoder.write(image, 19);
    await expect(encoder.finish(image)).rejects.toThrow('19 lines of 20');
    encoder.close();
  });

  it('of a photograph is as large as libvips makes it at the same level', async () => {
    const source = sharp(await fixture('kodak/kodim23.png')).removeAlpha();
    const { data, info } = await source.raw().toBuffer({ resolveWithObject: true });
    const theirs = await source.png({ compressionLevel: 2, adaptiveFiltering: true }).toBuffer();
    const ours = await encodePng({ width: info.width, height: info.height, channels: 3, data });
    expect(ours.length).toBeLessThan(1.02 * theirs.length);
  });
});
