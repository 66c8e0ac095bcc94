/**
 * What a file is, by its bytes alone: format, size, channels, orientation. Nothing is decoded and nothing is allocated
 * by what a header claims, so a bomb is refused before it can go off.
 */
import { DeblurError } from '../errors.ts';
import { MAX_SIDE_PIXELS } from '../limits.ts';
import { isBmff, readAvifHeader } from './avif.ts';
import { ByteView, HeaderIncomplete } from './byte-view.ts';
import { isGif, readGifHeader } from './gif.ts';
import { isTiff } from './ifd.ts';
import { isJpeg, readJpegHeader } from './jpeg.ts';
import { isPng, readPngHeader } from './png.ts';
import { readTiffHeader } from './tiff.ts';
import type { ImageHeader } from './types.ts';
import { isWebp, readWebpHeader } from './webp.ts';

export { HeaderIncomplete } from './byte-view.ts';
export type { ImageFormat, ImageHeader } from './types.ts';

const FORMATS: readonly { readonly is: (view: ByteView) => boolean; readonly read: (view: ByteView) => ImageHeader }[] =
  [
    { is: isJpeg, read: readJpegHeader },
    { is: isPng, read: readPngHeader },
    { is: isWebp, read: readWebpHeader },
    { is: isBmff, read: readAvifHeader },
    { is: isTiff, read: readTiffHeader },
    { is: isGif, read: readGifHeader },
  ];

/** Enough for every signature. */
const SIGNATURE_BYTES = 12;

/**
 * Reads the header of a picture, whatever type was declared for it.
 *
 * @param bytes the file, or with `complete: false` its beginning. Of a beginning, sizes, channels and `animated` are
 *   final; `orientation` is 1 where the format writes it behind the pixels (WebP, rarely PNG), and missing pixels are
 *   not noticed
 * @throws {DeblurError} `unsupported_media_type` without a supported signature, and for still GIF and HEIC;
 *   `image_truncated`; `image_undecodable` for what no decoder here takes
 * @throws {HeaderIncomplete} with `complete: false`, when the header does not lie within the bytes
 */
export function readImageHeader(bytes: Uint8Array, { complete = true }: { complete?: boolean } = {}): ImageHeader {
  const view = new ByteView(bytes, complete);
  const format = FORMATS.find(({ is }) => is(view));
  if (format !== undefined) return format.read(view);
  if (!complete && bytes.length < SIGNATURE_BYTES) throw new HeaderIncomplete(SIGNATURE_BYTES);
  throw new DeblurError('unsupported_media_type', 'The bytes are not a JPEG, PNG, WebP, AVIF or TIFF picture.');
}

/** @throws {DeblurError} `image_too_many_pixels` above `maxPixels` in all, or MAX_SIDE_PIXELS on a side */
export function assertPixelLimits({ width, height }: Pick<ImageHeader, 'width' | 'height'>, maxPixels: number): void {
  if (width * height <= maxPixels && Math.max(width, height) <= MAX_SIDE_PIXELS) return;
  throw new DeblurError(
    'image_too_many_pixels',
    `The picture has ${width}×${height} pixels; at most ${maxPixels} in all and ${MAX_SIDE_PIXELS} on a side are taken.`,
  );
}
