/** Where the formats keep EXIF, all that a header needs from it is the orientation. */
import { ByteView } from './byte-view.ts';
import { ifdOrientation, readIfd, readTiffStart } from './ifd.ts';

const EXIF_PREFIX = 'Exif\0\0';

/** JPEG puts a prefix before the TIFF structure; some writers put it into WebP and PNG too. */
export function withoutExifPrefix(block: Uint8Array): Uint8Array {
  return new ByteView(block).has(0, EXIF_PREFIX) ? block.subarray(EXIF_PREFIX.length) : block;
}

/** @returns 1..8; 1 when the block is broken: a bad description must not cost the picture */
export function exifOrientation(block: Uint8Array): number {
  try {
    const view = new ByteView(withoutExifPrefix(block));
    const { littleEndian, firstIfd } = readTiffStart(view);
    return ifdOrientation(view, readIfd(view, firstIfd, littleEndian), littleEndian);
  } catch {
    return 1;
  }
}
