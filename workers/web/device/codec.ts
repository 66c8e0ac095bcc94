/**
 * Pixels in and out of files by the browser's own codecs. A canvas holds 8 bits a channel and premultiplied colour: depth
 * beyond 8 bits is reduced (and said), alpha comes back exactly, the colour under faint alpha nearly so. A canvas also
 * writes every PNG with four channels.
 */
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import { ByteView } from '@deblur/shared/image-header/byte-view.ts';
import { assertPixelLimits, readImageHeader, type ImageHeader } from '@deblur/shared/image-header/index.ts';
import { jpegSegments, MARKER } from '@deblur/shared/image-header/jpeg-segments.ts';
import { DEFAULT_QUALITY, MAX_PIXELS } from '@deblur/shared/limits.ts';
import { concat } from '@deblur/shared/metadata/bytes.ts';
import { carriedMetadata, readMetadata, writeMetadata } from '@deblur/shared/metadata/index.ts';
import { MEDIA_TYPES, type MetadataMode } from '@deblur/shared/protocol/options.ts';
import { flattenOnWhite, hasAlpha, type Channels, type RawImage } from '@deblur/shared/pixels/raw-image.ts';
import type { DeviceFormat } from '../app/settings.ts';
import { remainingOrientation } from './orientation.ts';

export interface DecodedPicture {
  readonly header: ImageHeader;
  /** With the channels of the header. */
  readonly image: RawImage;
  /** EXIF orientation that the browser has left to be applied, 1..8. */
  readonly orientation: number;
}

/**
 * @throws {DeblurError} what the header says against it, a pixel count above the limit, an animation, CMYK (the browser
 *   would drop its profile), or `image_undecodable` for what this browser cannot decode
 */
export async function decodePicture(file: Blob, bytes: Uint8Array): Promise<DecodedPicture> {
  const header = readImageHeader(bytes);
  assertPixelLimits(header, MAX_PIXELS);
  if (header.animated) throw new DeblurError('image_animated', 'It has more than one picture.');
  if (header.cmyk) {
    throw new DeblurError(
      'unsupported_media_type',
      'CMYK needs its colour profile, which this browser would ignore. The service converts it properly.',
    );
  }
  assertFaithfulCanvas();
  const rgba = readPixels(await decodeBitmap(file, header));
  const image = fewerChannels(rgba, header.channels);
  return { header, image, orientation: await remainingOrientation(header) };
}

async function decodeBitmap(file: Blob, header: ImageHeader): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(file, {
      imageOrientation: 'from-image',
      premultiplyAlpha: 'none',
      colorSpaceConversion: keepsProfile(header) ? 'none' : 'default',
    });
  } catch (error) {
    const detail = `This browser cannot decode this ${header.format.toUpperCase()} file. The service may be able to.`;
    throw new DeblurError('image_undecodable', detail, { cause: error });
  }
}

/**
 * Pixels stay as they are stored when their profile can be carried along to say what they mean. A grey profile does not
 * fit what a canvas writes, and of other formats no profile is read: those become sRGB.
 */
function keepsProfile({ format, channels }: ImageHeader): boolean {
  return channels >= 3 && (format === 'jpeg' || format === 'png' || format === 'webp');
}

function readPixels(bitmap: ImageBitmap): RawImage {
  const { width, height } = bitmap;
  try {
    const context = contextOf(width, height);
    context.drawImage(bitmap, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    return { width, height, channels: 4, data: new Uint8Array(data.buffer) };
  } finally {
    bitmap.close();
  }
}

function contextOf(width: number, height: number): OffscreenCanvasRenderingContext2D {
  // Reading back from a processor's memory, not a graphics card's, which may round.
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  if (context === null) {
    throw new DeblurError(
      'image_too_many_pixels',
      'This browser has no room for a picture of this size. The service can do it.',
    );
  }
  return context;
}

/** Some browsers alter what is read from a canvas, against fingerprinting: a restored picture would carry that noise. */
function assertFaithfulCanvas(): void {
  const side = 32;
  const context = contextOf(side, side);
  const pattern = new ImageData(side, side);
  pattern.data.forEach((_, i) => (pattern.data[i] = i % 4 === 3 ? 255 : (i * 73) % 256));
  context.putImageData(pattern, 0, 0);
  const read = context.getImageData(0, 0, side, side).data;
  if (read.some((value, i) => value !== pattern.data[i])) {
    throw new DeblurError(
      'runner_failed',
      'This browser alters pictures that pages read, as a protection against fingerprinting. The service can do it.',
    );
  }
}

/** A canvas always gives RGBA. In a grey picture the three colours are equal, and as one channel they stay equal. */
function fewerChannels({ width, height, data }: RawImage, channels: Channels): RawImage {
  if (channels === 4) return { width, height, channels, data };
  const kept = ([[0], [0, 3], [0, 1, 2]] as const)[channels - 1]!;
  const out = new Uint8Array(width * height * channels);
  for (let source = 0, target = 0; source < data.length; source += 4) {
    for (const channel of kept) out[target++] = data[source + channel]!;
  }
  return { width, height, channels, data: out };
}

export interface EncodeRequest {
  readonly format: DeviceFormat;
  readonly metadata: MetadataMode;
  /** The source, whose metadata is carried over. */
  readonly source: Uint8Array;
  readonly header: ImageHeader;
}

/** @returns a file of the wanted format, or a PNG where the browser cannot write that one */
export async function encodePicture(image: RawImage, request: EncodeRequest): Promise<Blob> {
  const { source, header } = request;
  const context = contextOf(image.width, image.height);
  context.putImageData(rgbaOf(request.format === 'jpeg' ? flattenOnWhite(image) : image), 0, 0);
  const blob = await context.canvas.convertToBlob({
    type: MEDIA_TYPES[request.format],
    quality: DEFAULT_QUALITY / 100,
  });
  const format = blob.type === MEDIA_TYPES[request.format] ? request.format : 'png';
  const carried = carriedMetadata(await readMetadata(source, header.format), request.metadata, {
    convertedToRgb: !keepsProfile(header),
    format,
    channels: 3,
    size: { width: image.width, height: image.height },
  });
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const whole = await writeMetadata(format === 'jpeg' ? bareJpeg(bytes) : bytes, format, carried);
  return new Blob([whole as Uint8Array<ArrayBuffer>], { type: MEDIA_TYPES[format] });
}

/** Chromium describes its JPEGs as sRGB; the source's profile would come second. WebP and PNG replace a profile when they are written. */
function bareJpeg(file: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  let keptFrom = 0;
  for (const { marker, at, length } of jpegSegments(new ByteView(file))) {
    if (marker !== MARKER.APP1 && marker !== MARKER.APP2) continue;
    // Two bytes of marker and two of length come before the payload.
    parts.push(file.subarray(keptFrom, at - 4));
    keptFrom = at + length;
  }
  return concat([...parts, file.subarray(keptFrom)]);
}

function rgbaOf({ width, height, channels, data }: RawImage): ImageData {
  const out = new ImageData(width, height);
  const [green, blue] = channels >= 3 ? [1, 2] : [0, 0];
  const alpha = hasAlpha(channels) ? channels - 1 : null;
  for (let source = 0, target = 0; source < data.length; source += channels, target += 4) {
    out.data[target] = data[source]!;
    out.data[target + 1] = data[source + green]!;
    out.data[target + 2] = data[source + blue]!;
    out.data[target + 3] = alpha === null ? 255 : data[source + alpha]!;
  }
  return out;
}
