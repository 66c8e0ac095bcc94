import { readFile } from 'node:fs/promises';
import sharp from 'sharp';

/** 8-bit RGB pixels of any picture file, upright. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

export function fixture(name: string): Promise<Buffer> {
  return readFile(new URL(`../fixtures/${name}`, import.meta.url));
}

export async function decodeRgb(file: Uint8Array): Promise<Pixels> {
  const { data, info } = await sharp(file)
    .autoOrient()
    .removeAlpha()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, data };
}

/** Peak signal-to-noise ratio of 8-bit pictures of one size, in dB over all samples; Infinity when they are equal. */
export function psnr(a: Pixels, b: Pixels): number {
  if (a.width !== b.width || a.height !== b.height) {
    throw new Error(`sizes differ: ${a.width}×${a.height} and ${b.width}×${b.height}`);
  }
  let sum = 0;
  for (let i = 0; i < a.data.length; i++) sum += (a.data[i]! - b.data[i]!) ** 2;
  return sum === 0 ? Infinity : 10 * Math.log10((255 * 255 * a.data.length) / sum);
}

/** The picture twice across and twice down: above the edge's limit, with the same blur. */
export async function mosaic(file: Uint8Array): Promise<Buffer> {
  const { width, height } = await sharp(file).metadata();
  const places = [0, 1].flatMap((row) => [0, 1].map((column) => ({ left: column * width, top: row * height })));
  return sharp({ create: { width: width * 2, height: height * 2, channels: 3, background: 'black' } })
    .composite(places.map((place) => ({ ...place, input: Buffer.from(file) })))
    .png({ compressionLevel: 3 })
    .toBuffer();
}
