/**
 * Browsers turn a picture by its EXIF orientation for some formats and not for others (Chromium: JPEG and PNG, but not
 * WebP), and offer no way to ask or to forbid it. So this one is tried on a picture of two pixels.
 */
import type { ImageHeader } from '@deblur/shared/image-header/index.ts';
import { writeMetadata } from '@deblur/shared/metadata/index.ts';
import { MEDIA_TYPES } from '@deblur/shared/protocol/options.ts';

/** TIFF, big-endian: one directory with one entry, tag 0x0112 (orientation), SHORT, 6: needs a turn by 90°. */
// prettier-ignore
const QUARTER_TURN = Uint8Array.of(
  0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1,
  0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0,
  0, 0, 0, 0,
);

/** @returns the orientation, 1..8, that `createImageBitmap` leaves to be applied */
export async function remainingOrientation({ format, orientation }: ImageHeader): Promise<number> {
  if (orientation === 1 || (format !== 'png' && format !== 'webp')) return 1;
  const canvas = new OffscreenCanvas(2, 1);
  // Without a context there is nothing to encode.
  canvas.getContext('2d');
  const file = await canvas.convertToBlob({ type: MEDIA_TYPES[format] });
  // Safari writes no WebP; it does turn what it reads.
  if (file.type !== MEDIA_TYPES[format]) return 1;
  const turned = await writeMetadata(new Uint8Array(await file.arrayBuffer()), format, { exif: QUARTER_TURN });
  const bitmap = await createImageBitmap(new Blob([turned as Uint8Array<ArrayBuffer>], { type: file.type }));
  return bitmap.width === 1 ? 1 : orientation;
}
