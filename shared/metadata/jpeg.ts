/** Metadata in JPEG: EXIF 2.32 § 4.7.2 (APP1), XMP part 3 § 1.1.3 (APP1), ICC.1 Annex B.4 (APP2, in pieces). */
import { ByteView } from '../image-header/byte-view.ts';
import { isExifSegment } from '../image-header/jpeg.ts';
import { jpegSegments, MARKER } from '../image-header/jpeg-segments.ts';
import { concat, latin1, u16be } from './bytes.ts';
import type { Metadata, MetadataDraft } from './types.ts';

const EXIF = 'Exif\0\0';
const XMP = 'http://ns.adobe.com/xap/1.0/\0';
const ICC = 'ICC_PROFILE\0';

/** The length field has 16 bits and counts itself. */
const MAX_PAYLOAD_BYTES = 65_533;
/** After the signature a piece says its number and how many there are, one byte each. */
const MAX_ICC_PIECE_BYTES = MAX_PAYLOAD_BYTES - ICC.length - 2;
const MAX_ICC_PIECES = 255;

export function readJpegMetadata(bytes: Uint8Array, found: MetadataDraft): void {
  const view = new ByteView(bytes);
  const pieces = new Map<number, Uint8Array>();
  let pieceCount = 0;
  for (const segment of jpegSegments(view)) {
    const { marker, at, length } = segment;
    const after = (signature: string): Uint8Array => view.slice(at + signature.length, length - signature.length);
    const is = (code: number, signature: string): boolean =>
      marker === code && length > signature.length && view.has(at, signature);
    if (isExifSegment(view, segment)) found.exif ??= after(EXIF);
    if (is(MARKER.APP1, XMP)) found.xmp ??= after(XMP);
    if (is(MARKER.APP2, ICC) && length >= ICC.length + 2) {
      const piece = after(ICC);
      pieceCount ||= piece[1]!;
      if (!pieces.has(piece[0]!)) pieces.set(piece[0]!, piece.subarray(2));
    }
  }
  const profile = Array.from({ length: pieceCount }, (_, i) => pieces.get(i + 1)).filter(
    (piece) => piece !== undefined,
  );
  if (pieceCount > 0 && profile.length === pieceCount) found.icc = concat(profile);
}

export function writeJpegMetadata(file: Uint8Array, { exif, icc, xmp }: Metadata): Uint8Array {
  const segments = [
    ...(exif === undefined ? [] : [segment(MARKER.APP1, latin1(EXIF), exif)]),
    ...(xmp === undefined ? [] : [segment(MARKER.APP1, latin1(XMP), xmp)]),
    ...(icc === undefined ? [] : iccSegments(icc)),
  ];
  const at = afterJfif(file);
  return concat([file.subarray(0, at), ...segments, file.subarray(at)]);
}

/** JFIF wants to be first; EXIF follows it, as every camera and library writes the pair. */
function afterJfif(file: Uint8Array): number {
  const [first] = jpegSegments(new ByteView(file));
  return first?.marker === MARKER.APP0 ? first.at + first.length : 2;
}

/** A block that one segment cannot hold is left out: a description is not worth failing the picture. */
function segment(marker: number, ...payload: readonly Uint8Array[]): Uint8Array {
  const length = payload.reduce((sum, part) => sum + part.length, 0);
  if (length > MAX_PAYLOAD_BYTES) return new Uint8Array();
  return concat([Uint8Array.of(0xff, marker), u16be(length + 2), ...payload]);
}

function iccSegments(icc: Uint8Array): Uint8Array[] {
  const count = Math.ceil(icc.length / MAX_ICC_PIECE_BYTES);
  if (count > MAX_ICC_PIECES) return [];
  return Array.from({ length: count }, (_, i) => {
    const piece = icc.subarray(i * MAX_ICC_PIECE_BYTES, (i + 1) * MAX_ICC_PIECE_BYTES);
    return segment(MARKER.APP2, latin1(ICC), Uint8Array.of(i + 1, count), piece);
  });
}
