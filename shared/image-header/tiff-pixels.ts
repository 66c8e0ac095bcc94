/** Where a TIFF keeps its pixels (TIFF 6.0 § 3 and § 15), and what reading them may cost. */
import { pictureTruncated } from '../protocol/errors.ts';
import { undecodable } from './byte-view.ts';
import { findEntry, TAG, type Ifd, type IfdEntry, type TiffReader } from './ifd.ts';

interface Size {
  readonly width: number;
  readonly height: number;
}

/**
 * Pixels that tiles may decode to beyond the picture's: the last row and column are padded. libtiff allocates whole tiles, so a
 * picture of 1×1 with one tile of 65,536×65,536 would take 12 GB.
 */
const MAX_TILE_OVERHEAD = 4;
const SMALL_PIXELS = 1024 * 1024;

/** @throws {DeblurError} `image_undecodable` for tiles that are much larger than the picture */
export function assertDirectoryCost(reader: TiffReader, ifd: Ifd, { width, height }: Size): void {
  if (findEntry(ifd, TAG.tileOffsets) === undefined) return;
  const tileWidth = reader.tagValue(ifd, TAG.tileWidth) ?? 0;
  const tileHeight = reader.tagValue(ifd, TAG.tileLength) ?? 0;
  if (tileWidth === 0 || tileHeight === 0) throw undecodable('The TIFF has tiles without a size.');
  const decoded = Math.ceil(width / tileWidth) * tileWidth * Math.ceil(height / tileHeight) * tileHeight;
  if (decoded > Math.max(SMALL_PIXELS, width * height * MAX_TILE_OVERHEAD)) {
    throw undecodable('The TIFF has tiles that are much larger than its picture.');
  }
}

/**
 * Checks the index of strips or tiles of a whole file.
 * @throws {DeblurError} `image_truncated` when one lies beyond the end; `image_undecodable` without an index, and when the same bytes
 *   are to be read so often that the pixels cannot need them
 */
export function requirePixels(reader: TiffReader, ifd: Ifd, size: Size): void {
  const offsets = findEntry(ifd, TAG.stripOffsets) ?? findEntry(ifd, TAG.tileOffsets);
  const lengths = findEntry(ifd, TAG.stripByteCounts) ?? findEntry(ifd, TAG.tileByteCounts);
  if (offsets === undefined || lengths === undefined) throw undecodable('The TIFF has no picture data.');
  const { view } = reader;
  // Each value takes a byte of the file or more, so the file bounds the loop.
  view.require(offsets.valueAt, offsets.byteLength);
  view.require(lengths.valueAt, lengths.byteLength);
  const listed = Math.min(offsets.count, lengths.count);
  const read = sumOfPieces(reader, offsets, lengths, listed);
  const samples = reader.tagValue(ifd, TAG.samplesPerPixel) ?? 1;
  // Pieces may share bytes, where tiles are alike; but compressed ones do not exceed what they decode to by much.
  const decodedBytes = size.width * size.height * samples * 2;
  if (read > 2 * (view.length + decodedBytes)) throw undecodable('The TIFF names its picture data too often.');
}

function sumOfPieces(reader: TiffReader, offsets: IfdEntry, lengths: IfdEntry, listed: number): number {
  let sum = 0;
  for (let i = 0; i < listed; i++) {
    const offset = reader.value(offsets, i);
    const length = reader.value(lengths, i);
    if (offset === undefined || length === undefined) throw undecodable('The TIFF has no picture data.');
    if (offset + length > reader.view.length) throw pictureTruncated('TIFF');
    sum += length;
  }
  return sum;
}
