import type { Channels, RawImage } from '@deblur/shared/pixels/raw-image.ts';
import sharp, { type Sharp } from 'sharp';
import { below, randomFrom } from './random.ts';

/** Noise: every sample may take every value, so that nothing hides. */
export function noise(width: number, height: number, channels: Channels, bits: 8 | 16 = 8, seed = 1): RawImage {
  const random = randomFrom(seed + width * 1009 + height * 9176 + channels);
  const length = width * height * channels;
  const data = bits === 16 ? new Uint16Array(length) : new Uint8Array(length);
  const bound = bits === 16 ? 65_536 : 256;
  for (let i = 0; i < length; i++) data[i] = below(random, bound);
  return { width, height, channels, data };
}

/** The picture in sharp's hands. */
export function toSharp({ width, height, channels, data }: RawImage): Sharp {
  return sharp(data, { raw: { width, height, channels } });
}

export async function bytesOf(picture: Sharp): Promise<Uint8Array> {
  return new Uint8Array(await picture.toBuffer());
}

/** 8-bit samples of a file as sharp decodes them, without any colour conversion. */
export async function pixelsOf(file: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await sharp(file, { ignoreIcc: true }).raw().toBuffer());
}

/** A small photograph-like picture, so that codecs have something to compress. */
export function photo(width = 37, height = 53): Sharp {
  return sharp(new URL('../../fixtures/kodak/kodim04.png', import.meta.url).pathname).resize(width, height);
}

export const ORIENTATIONS = [1, 2, 3, 4, 5, 6, 7, 8] as const;

/** A number of four bytes, most significant first. */
export function u32be(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
}

export type Part = Uint8Array | string | readonly number[];

/** Byte strings one after the other; of text, one byte a character. */
export function join(...parts: readonly Part[]): Uint8Array {
  const bytes = parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : Uint8Array.from(part)));
  return new Uint8Array(Buffer.concat(bytes));
}
