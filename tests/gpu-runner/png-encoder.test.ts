/** Our PNG, read back by libpng. */
import type { Channels, RawImage } from '@deblur/shared/raw-image.ts';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { encodePng, PngEncoder } from '../../gpu-runner/png-encoder.ts';
import { noise } from '../shared/support/pictures.ts';
import { below, randomFrom } from '../shared/support/random.ts';
import { fixture } from './support/images.ts';

const SPACES = { 1: ['b-w', 'grey16'], 2: ['b-w', 'grey16'], 3: ['srgb', 'rgb16'], 4: ['srgb', 'rgb16'] } as const;

async function decoded(file: Uint8Array, channels: Channels, bits: 8 | 16): Promise<RawImage['data']> {
  const picture = sharp(file, { failOn: 'warning' });
  expect(await picture.metadata()).toMatchObject({ channels, depth: bits === 8 ? 'uchar' : 'ushort' });
  // libvips drops the alpha of 8-bit grey: there the colour is compared.
  const space = SPACES[channels][bits === 8 ? 0 : 1];
  const raw = picture.toColourspace(space).raw({ depth: bits === 8 ? 'uchar' : 'ushort' });
  const bytes = new Uint8Array(await raw.toBuffer());
  return bits === 8 ? bytes : new Uint16Array(bytes.buffer);
}

function withoutAlpha({ data }: RawImage): RawImage['data'] {
  return data.filter((_, i) => i % 2 === 0);
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
          const greyAlpha = channels === 2 && bits === 8;
          const actual = await decoded(await encodePng(image), channels, bits);
          const expected = greyAlpha ? withoutAlpha(image) : image.data;
          const shown =
            greyAlpha && actual.length > expected.length ? withoutAlpha({ ...image, data: actual }) : actual;
          expect(shown.length).toBe(expected.length);
          expect(shown.findIndex((sample, i) => sample !== expected[i])).toBe(-1);
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
