/** Metadata in TIFF: ICC in tag 34675 (ICC.1 Annex B.3), XMP in tag 700 (XMP part 3 § 1.1.7). Its EXIF is its own directory and stays there. */
import { ByteView } from '../image-header/byte-view.ts';
import { findEntry, TAG, TiffReader } from '../image-header/ifd.ts';
import type { MetadataDraft } from './types.ts';

export function readTiffMetadata(bytes: Uint8Array, found: MetadataDraft): void {
  const view = new ByteView(bytes);
  const reader = new TiffReader(view);
  const ifd = reader.readIfd(reader.firstIfd);
  const block = (tag: number): Uint8Array | undefined => {
    const entry = findEntry(ifd, tag);
    return entry === undefined ? undefined : view.slice(entry.valueAt, entry.byteLength);
  };
  const icc = block(TAG.icc);
  if (icc !== undefined) found.icc = icc;
  const xmp = block(TAG.xmp);
  if (xmp !== undefined) found.xmp = xmp;
}
