/** Pixels in and out of files by libvips, and in from HEIC by libheif. This is the only file that imports sharp. */
import sharp, { type OutputInfo, type Sharp, type SharpOptions } from 'sharp';
import { DeblurError, encoderRefused, pictureTruncated, pictureUndecodable } from '@deblur/shared/protocol/errors.ts';
import { refuseFilledGaps } from '@deblur/shared/image-header/libjpeg-warnings.ts';
import { MAX_PIXELS } from '@deblur/shared/limits.ts';
import { decoderInput } from '@deblur/shared/metadata/decoder-input.ts';
import type { Metadata } from '@deblur/shared/metadata/index.ts';
import type { OutputFormat } from '@deblur/shared/protocol/options.ts';
import type { ImageCodec } from '@deblur/shared/pixels/ports.ts';
import {
  dividedByAlpha,
  flattenOnWhite,
  samplesLike,
  type Channels,
  type RawImage,
} from '@deblur/shared/pixels/raw-image.ts';
import { LARGE_PIXELS } from '../limits.ts';
import type { CodecSteps } from './codec-steps.ts';
import { decodeHeic } from './heif-codec.ts';
import { encodePng } from './png-encoder.ts';

// libvips keeps the results of operations by default: pictures of strangers, and memory that never comes back.
sharp.cache(false);
// Pictures are worked on side by side already. With glibc's allocator, more threads fragment memory for little speed.
sharp.concurrency(1);
// Only the loaders of the formats that we take: SVG, PDF and ImageMagick's hundred others never see a byte.
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({
  operation: ['Jpeg', 'Png', 'Webp', 'Heif', 'Tiff'].map((format) => `VipsForeignLoad${format}`),
});

const INPUT: SharpOptions = {
  failOn: 'error',
  limitInputPixels: MAX_PIXELS,
  // The network works on the numbers as they are stored; the profile travels along and keeps saying what they mean.
  ignoreIcc: true,
  autoOrient: false,
};

export const sharpCodec: ImageCodec = {
  async decode(file, header) {
    if (header.format === 'heic') return decodeHeic(file, header);
    const wide = header.bitDepth === 16;
    const grey = header.channels <= 2;
    // As `b-w` with 8 bits, sharp drops the alpha of grey pictures; as `srgb` it comes along, and grey three times.
    const greyAlpha = header.channels === 2 && !wide;
    const space = greyAlpha || !grey ? (wide ? 'rgb16' : 'srgb') : wide ? 'grey16' : 'b-w';
    const bytes = decoderInput(file, header);
    const read = (failOn: 'error' | 'warning'): Promise<{ data: Buffer; info: OutputInfo }> =>
      sharp(bytes, { ...INPUT, failOn, ignoreIcc: !header.cmyk })
        .toColourspace(space)
        .raw({ depth: wide ? 'ushort' : 'uchar' })
        .toBuffer({ resolveWithObject: true });
    const { data, info } = await guarded(() => (header.format === 'jpeg' ? withoutGaps(read) : read('error')));
    const decoded = toRawImage(data, info.width, info.height, info.channels, wide);
    if (decoded.width !== header.width || decoded.height !== header.height) {
      throw pictureUndecodable('picture', 'it has another size than its header says');
    }
    if (greyAlpha && decoded.channels === 4) return keepChannels(decoded, [0, 3]);
    // An extra sample that is no alpha (see readTiffHeader) comes last.
    if (decoded.channels === 4 && header.channels === 3) return keepChannels(decoded, [0, 1, 2]);
    return header.premultiplied === true ? dividedByAlpha(decoded) : decoded;
  },

  encode(image, options) {
    if (options.format === 'png') return encodePng(image);
    const picture = options.format === 'jpeg' ? flattenOnWhite(image) : image;
    const eightBit = raw(picture).toColourspace(picture.channels <= 2 ? 'b-w' : 'srgb');
    if (options.format === 'jpeg') return write(asJpeg(eightBit, options.quality, image.width * image.height), 'jpeg');
    return write(withFormat(eightBit, { ...options, format: options.format }), options.format);
  },
};

/**
 * An AVIF with the metadata of a PNG: sharp copies metadata from its input only, and our writer makes PNGs.
 * @param carried what the PNG has; anything else, libvips would make up from defaults
 */
export async function avifFromPng(png: Uint8Array, carried: Metadata, quality: number): Promise<Uint8Array> {
  let picture = sharp(png, INPUT);
  if (carried.exif !== undefined) picture = picture.keepExif();
  if (carried.icc !== undefined) picture = picture.keepIccProfile();
  if (carried.xmp !== undefined) picture = picture.keepXmp();
  return write(withFormat(picture, { format: 'avif', quality }), 'avif');
}

export const sharpSteps: CodecSteps = { ...sharpCodec, avifFromPng };

function raw({ data, width, height, channels }: RawImage): Sharp {
  return sharp(data, { raw: { width, height, channels }, limitInputPixels: MAX_PIXELS });
}

function asJpeg(picture: Sharp, quality: number, pixels: number): Sharp {
  // libvips' own rule: who asks for quality wants the colours sharp, too.
  const chromaSubsampling = quality >= 90 ? '4:4:4' : '4:2:0';
  return picture.jpeg({ quality, chromaSubsampling, optimiseCoding: pixels <= LARGE_PIXELS });
}

interface Encoding {
  readonly format: 'webp' | 'avif';
  readonly quality: number;
}

function withFormat(picture: Sharp, { format, quality }: Encoding): Sharp {
  switch (format) {
    case 'webp':
      return picture.webp({ quality, alphaQuality: 100, exact: true });
    case 'avif':
      // Effort 0 is six times faster than 3 and costs 6 % of the bytes at the same PSNR.
      return picture.avif({ quality, effort: 0 });
  }
}

/** @throws {DeblurError} `invalid_option`: what an encoder refuses once it refuses every time */
async function write(picture: Sharp, format: OutputFormat): Promise<Uint8Array> {
  try {
    return await picture.toBuffer();
  } catch (cause) {
    throw encoderRefused(format, cause);
  }
}

function toRawImage(data: Buffer, width: number, height: number, channels: number, wide: boolean): RawImage {
  if (!isChannels(channels)) throw pictureUndecodable('picture', 'it has more than four channels');
  if (!wide) return { width, height, channels, data };
  const samples = data.byteLength / 2;
  const aligned = data.byteOffset % 2 === 0 ? data : Buffer.from(data);
  return { width, height, channels, data: new Uint16Array(aligned.buffer, aligned.byteOffset, samples) };
}

function isChannels(value: number): value is Channels {
  return value >= 1 && value <= 4;
}

function keepChannels({ width, height, channels, data }: RawImage, kept: readonly number[]): RawImage {
  const pixels = width * height;
  const out = samplesLike(data, pixels * kept.length);
  for (let p = 0, target = 0; p < pixels; p++) {
    for (const channel of kept) out[target++] = data[p * channels + channel]!;
  }
  return { width, height, channels: kept.length as Channels, data: out };
}

/**
 * A JPEG whose rows all came. libvips tells warnings only by failing on them: a harmless one costs a second decoding.
 * @throws {DeblurError} see refuseFilledGaps
 */
async function withoutGaps<T>(read: (failOn: 'error' | 'warning') => Promise<T>): Promise<T> {
  try {
    return await read('warning');
  } catch (warning) {
    refuseFilledGaps([warning instanceof Error ? warning.message : '']);
    return read('error');
  }
}

/** libvips' messages name source files and offsets: they become the cause, for the log, and a code for the caller. */
async function guarded<T>(decode: () => Promise<T>): Promise<T> {
  try {
    return await decode();
  } catch (cause) {
    if (cause instanceof DeblurError) throw cause;
    const message = cause instanceof Error ? cause.message : '';
    if (/premature end|unexpected end|truncat|end of (file|stream)/i.test(message)) {
      throw pictureTruncated('picture', cause);
    }
    throw pictureUndecodable('picture', 'its data are damaged', cause);
  }
}
