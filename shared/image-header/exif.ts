/** Where the formats keep EXIF, all that a header needs from it is the orientation. */
import { ByteView } from './byte-view.ts';
import { TiffReader } from './ifd.ts';

/** The last byte of the prefix is padding: some writers leave another value than zero in it. */
const EXIF_PREFIX = 'Exif\0';
const EXIF_PREFIX_BYTES = 6;

export function hasExifPrefix(view: ByteView, at: number): boolean {
  return view.has(at, EXIF_PREFIX);
}

/** JPEG puts a prefix before the TIFF structure; some writers put it into WebP and PNG too. */
export function withoutExifPrefix(block: Uint8Array): Uint8Array {
  return hasExifPrefix(new ByteView(block), 0) ? block.subarray(EXIF_PREFIX_BYTES) : block;
}

/** @returns 1..8; 1 when the block is broken: a bad description must not cost the picture */
export function exifOrientation(block: Uint8Array): number {
  try {
    const reader = new TiffReader(new ByteView(withoutExifPrefix(block)));
    return reader.orientation(reader.readIfd(reader.firstIfd));
  } catch {
    return 1;
  }
}
