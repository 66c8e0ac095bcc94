/**
 * What a file is, by its bytes alone: format, size, channels, orientation. Nothing is decoded and nothing is allocated
 * by what a header claims, so a bomb is refused before it can go off.
 */
import { notAPicture, tooManyPixels } from '../protocol/errors.ts';
import { HEADER_RANGE_BYTES, HEADER_RANGES_MAX, MAX_SIDE_PIXELS } from '../limits.ts';
import { isBmff, readHeifHeader } from './heif.ts';
import { ByteView, HeaderIncomplete, undecodable, type Piece } from './byte-view.ts';
import { cameraRawUnsupported, isCameraRaw } from './camera-raw.ts';
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
    { is: isCameraRaw, read: refuseCameraRaw },
    { is: isJpeg, read: readJpegHeader },
    { is: isPng, read: readPngHeader },
    { is: isWebp, read: readWebpHeader },
    { is: isBmff, read: readHeifHeader },
    { is: isTiff, read: readTiffHeader },
    { is: isGif, read: readGifHeader },
  ];

function refuseCameraRaw(): never {
  throw cameraRawUnsupported();
}

/** Enough for every signature of a format that is read. */
const SIGNATURE_BYTES = 12;

/**
 * Reads the header of a picture, whatever type was declared for it.
 *
 * @param bytes the file, or with `complete: false` its beginning. Of a beginning, sizes, channels and `animated` are
 *   final; `orientation` is 1 where the format writes it behind the pixels (WebP, rarely PNG), and missing pixels are
 *   not noticed
 * @throws {DeblurError} `unsupported_media_type` without a supported signature, and for still GIF, video, camera raw and HDR;
 *   `image_truncated`; `image_undecodable` for what no decoder here takes
 * @throws {HeaderIncomplete} with `complete: false`, when the header does not lie within the bytes
 */
export function readImageHeader(bytes: Uint8Array, { complete = true }: { complete?: boolean } = {}): ImageHeader {
  if (!complete && bytes.length < SIGNATURE_BYTES) throw new HeaderIncomplete(0, SIGNATURE_BYTES);
  return headerIn(new ByteView(bytes, complete));
}

function headerIn(view: ByteView): ImageHeader {
  const format = FORMATS.find(({ is }) => is(view));
  if (format !== undefined) return format.read(view);
  throw notAPicture();
}

/** A file that lies elsewhere. */
export interface RemoteFile {
  readonly length: number;
  /** SIGNATURE_BYTES of it or more. */
  readonly beginning: Uint8Array;
  /** Bytes `at`..`at + length`, all within the file. */
  read(at: number, length: number): Promise<Uint8Array>;
}

/**
 * The same of a file that is not held: what lies behind its beginning is read in ranges, at most HEADER_RANGES_MAX of them
 * and as many times HEADER_RANGE_BYTES. As of a beginning, what follows the header is not looked at.
 *
 * @throws {DeblurError} as readImageHeader, and `image_undecodable` for a header in more pieces than that
 * @throws what `read` throws
 */
export async function readRemoteImageHeader(file: RemoteFile): Promise<ImageHeader> {
  const pieces: Piece[] = [{ at: 0, bytes: file.beginning }];
  let left = HEADER_RANGES_MAX * HEADER_RANGE_BYTES;
  for (;;) {
    try {
      return headerIn(new ByteView(file.beginning, false, { length: file.length, pieces }));
    } catch (error) {
      if (!(error instanceof HeaderIncomplete)) throw error;
      const { at } = error;
      const length = Math.min(Math.max(error.length, HEADER_RANGE_BYTES), file.length - at);
      left -= Math.max(length, HEADER_RANGE_BYTES);
      if (left < 0) throw undecodable('The header is scattered over the file.');
      pieces.push({ at, bytes: await file.read(at, length) });
    }
  }
}

/** @throws {DeblurError} `image_too_many_pixels` above `maxPixels` in all, or MAX_SIDE_PIXELS on a side */
export function assertPixelLimits({ width, height }: Pick<ImageHeader, 'width' | 'height'>, maxPixels: number): void {
  if (width * height <= maxPixels && Math.max(width, height) <= MAX_SIDE_PIXELS) return;
  throw tooManyPixels({ width, height, maxPixels, maxSide: MAX_SIDE_PIXELS });
}
