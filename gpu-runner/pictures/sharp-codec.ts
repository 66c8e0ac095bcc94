/** Pixels in and out of files by libvips. This is the only file that imports sharp. */
import sharp, { type Sharp, type SharpOptions } from 'sharp';
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import { MAX_PIXELS } from '@deblur/shared/limits.ts';
import type { Metadata } from '@deblur/shared/metadata/index.ts';
import type { ImageCodec } from '@deblur/shared/pixels/ports.ts';
import { flattenOnWhite, type Channels, type RawImage } from '@deblur/shared/pixels/raw-image.ts';
import { LARGE_PIXELS } from '../limits.ts';
import type { CodecSteps } from './codec-steps.ts';
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
  async decode(bytes, header) {
    const options = header.cmyk ? { ...INPUT, ignoreIcc: false } : INPUT;
    const wide = header.bitDepth === 16;
    const grey = header.channels <= 2;
    // As `b-w` with 8 bits, sharp drops the alpha of grey pictures; as `srgb` it comes along, and grey three times.
    const greyAlpha = header.channels === 2 && !wide;
    const space = greyAlpha || !grey ? (wide ? 'rgb16' : 'srgb') : wide ? 'grey16' : 'b-w';
    const { data, info } = await guarded(() =>
      sharp(bytes, options)
        .toColourspace(space)
        .raw({ depth: wide ? 'ushort' : 'uchar' })
        .toBuffer({ resolveWithObject: true }),
    );
    const decoded = toRawImage(data, info.width, info.height, info.channels, wide);
    if (decoded.width !== header.width || decoded.height !== header.height) {
      throw new DeblurError('image_undecodable', 'The picture has another size than its header says.');
    }
    return greyAlpha && decoded.channels === 4 ? keepGreyAndAlpha(decoded) : decoded;
  },

  encode(image, options) {
    if (options.format === 'png') return encodePng(image);
    const picture = options.format === 'jpeg' ? flattenOnWhite(image) : image;
    const eightBit = raw(picture).toColourspace(picture.channels <= 2 ? 'b-w' : 'srgb');
    if (options.format === 'jpeg') return write(asJpeg(eightBit, options.quality, image.width * image.height));
    return write(withFormat(eightBit, { ...options, format: options.format }));
  },
};

/** EXIF, ICC and XMP of an AVIF, whose boxes only libheif reads here. */
export async function readAvifMetadata(bytes: Uint8Array): Promise<Metadata> {
  const { exif, icc, xmp } = await guarded(() => sharp(bytes, INPUT).metadata());
  return {
    ...(exif === undefined ? {} : { exif: withoutPrefix(exif) }),
    ...(icc === undefined ? {} : { icc: new Uint8Array(icc) }),
    ...(xmp === undefined ? {} : { xmp: new Uint8Array(xmp) }),
  };
}

/**
 * An AVIF with the metadata of a PNG: sharp copies metadata from its input only, and our writer makes PNGs.
 * @param carried what the PNG has; anything else, libvips would make up from defaults
 */
export async function avifFromPng(png: Uint8Array, carried: Metadata, quality: number): Promise<Uint8Array> {
  let picture = sharp(png, INPUT);
  if (carried.exif !== undefined) picture = picture.keepExif();
  if (carried.icc !== undefined) picture = picture.keepIccProfile();
  if (carried.xmp !== undefined) picture = picture.keepXmp();
  return write(withFormat(picture, { format: 'avif', quality }));
}

export const sharpSteps: CodecSteps = { ...sharpCodec, avifFromPng, readAvifMetadata };

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

async function write(picture: Sharp): Promise<Uint8Array> {
  try {
    return await picture.toBuffer();
  } catch (cause) {
    throw new DeblurError('runner_failed', 'The restored picture could not be encoded.', { cause });
  }
}

function toRawImage(data: Buffer, width: number, height: number, channels: number, wide: boolean): RawImage {
  if (!isChannels(channels)) throw new DeblurError('image_undecodable', 'The picture has more than four channels.');
  if (!wide) return { width, height, channels, data };
  const samples = data.byteLength / 2;
  const aligned = data.byteOffset % 2 === 0 ? data : Buffer.from(data);
  return { width, height, channels, data: new Uint16Array(aligned.buffer, aligned.byteOffset, samples) };
}

function isChannels(value: number): value is Channels {
  return value >= 1 && value <= 4;
}

function keepGreyAndAlpha({ width, height, data }: RawImage): RawImage {
  const pixels = width * height;
  const kept = new Uint8Array(pixels * 2);
  for (let p = 0; p < pixels; p++) {
    kept[p * 2] = data[p * 4]!;
    kept[p * 2 + 1] = data[p * 4 + 3]!;
  }
  return { width, height, channels: 2, data: kept };
}

/** libvips hands EXIF over as JPEG has it, with `Exif\0\0` before the TIFF structure. */
function withoutPrefix(exif: Buffer): Uint8Array {
  const prefixed = exif.subarray(0, 6).toString('latin1') === 'Exif\0\0';
  return new Uint8Array(prefixed ? exif.subarray(6) : exif);
}

/** libvips' messages name source files and offsets: they become the cause, for the log, and a code for the caller. */
async function guarded<T>(decode: () => Promise<T>): Promise<T> {
  try {
    return await decode();
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : '';
    if (/premature end|unexpected end|truncat|end of (file|stream)/i.test(message)) {
      throw new DeblurError('image_truncated', 'The picture ends before its last pixel.', { cause });
    }
    if (/pixel limit/i.test(message)) {
      throw new DeblurError('image_too_many_pixels', `At most ${MAX_PIXELS} pixels are taken.`, { cause });
    }
    throw new DeblurError('image_undecodable', 'The picture cannot be decoded.', { cause });
  }
}
