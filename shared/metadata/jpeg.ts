/** Metadata in JPEG: EXIF 2.32 § 4.7.2 (APP1), XMP part 3 § 1.1.3 (APP1), ICC.1 Annex B.4 (APP2, in pieces). */
import { ByteView } from '../image-header/byte-view.ts';
import { isExifSegment } from '../image-header/jpeg.ts';
import { jpegSegments, MARKER, type JpegSegment } from '../image-header/jpeg-segments.ts';
import { concat, latin1, u16be } from './bytes.ts';
import { iptcOf, iptcResource, PHOTOSHOP } from './photoshop.ts';
import type { Density, Metadata, MetadataDraft } from './types.ts';

const EXIF = 'Exif\0\0';
const XMP = 'http://ns.adobe.com/xap/1.0/\0';
const ICC = 'ICC_PROFILE\0';
const JFIF = 'JFIF\0';
/** Name, version, unit, density, size of the thumbnail. */
const JFIF_BYTES = 14;

const APP13 = 0xed;
const COM = 0xfe;

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
    readDescriptions(view, segment, found);
    if (!hasSignature(view, segment, MARKER.APP2, ICC) || segment.length < ICC.length + 2) continue;
    const piece = after(view, segment, ICC);
    pieceCount ||= piece[1]!;
    if (!pieces.has(piece[0]!)) pieces.set(piece[0]!, piece.subarray(2));
  }
  const profile = Array.from({ length: pieceCount }, (_, i) => pieces.get(i + 1)).filter(
    (piece) => piece !== undefined,
  );
  if (pieceCount > 0 && profile.length === pieceCount) found.icc = concat(profile);
}

function hasSignature(view: ByteView, { marker, at, length }: JpegSegment, code: number, signature: string): boolean {
  return marker === code && length > signature.length && view.has(at, signature);
}

function after(view: ByteView, { at, length }: JpegSegment, signature: string): Uint8Array {
  return view.slice(at + signature.length, length - signature.length);
}

/** The first of each kind counts. */
function readDescriptions(view: ByteView, segment: JpegSegment, found: MetadataDraft): void {
  const { marker, at, length } = segment;
  if (isExifSegment(view, segment)) found.exif ??= after(view, segment, EXIF);
  if (hasSignature(view, segment, MARKER.APP1, XMP)) found.xmp ??= after(view, segment, XMP);
  if (marker === COM && length > 0) found.comment ??= view.slice(at, length);
  if (hasSignature(view, segment, APP13, PHOTOSHOP)) {
    const iptc = iptcOf(after(view, segment, PHOTOSHOP));
    if (iptc !== undefined) found.iptc ??= iptc;
  }
  if (hasSignature(view, segment, MARKER.APP0, JFIF) && length >= JFIF_BYTES) {
    const density = readDensity(view, at);
    if (density !== undefined) found.density ??= density;
  }
}

/** Dots per inch, of which 72 is what writers put who know none. */
const NO_DENSITY = 72;

function readDensity(view: ByteView, at: number): Density | undefined {
  const unit = ([undefined, 'inch', 'centimetre'] as const)[view.u8(at + 7)];
  const [x, y] = [view.u16(at + 8), view.u16(at + 10)];
  if (unit === undefined || x === 0 || y === 0) return undefined;
  return unit === 'inch' && x === NO_DENSITY && y === NO_DENSITY ? undefined : { x, y, unit };
}

/** A JFIF segment (ITU-T T.871 § 10.1) without a thumbnail. */
function jfifSegment({ x, y, unit }: Density): Uint8Array {
  const values = [Uint8Array.of(1, 2, unit === 'inch' ? 1 : 2), u16be(x), u16be(y), Uint8Array.of(0, 0)];
  return segment(MARKER.APP0, latin1(JFIF), ...values);
}

export function writeJpegMetadata(file: Uint8Array, metadata: Metadata): Uint8Array {
  const { exif, icc, xmp, iptc, comment, density } = metadata;
  const segments = [
    ...(exif === undefined ? [] : [segment(MARKER.APP1, latin1(EXIF), exif)]),
    ...(xmp === undefined ? [] : [segment(MARKER.APP1, latin1(XMP), xmp)]),
    ...(icc === undefined ? [] : iccSegments(icc)),
    ...(iptc === undefined ? [] : [segment(APP13, latin1(PHOTOSHOP), iptcResource(iptc))]),
    ...(comment === undefined ? [] : [segment(COM, comment)]),
  ];
  const at = afterJfif(file);
  const start = density === undefined ? file.subarray(0, at) : concat([file.subarray(0, 2), jfifSegment(density)]);
  return concat([start, ...segments, file.subarray(at)]);
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
