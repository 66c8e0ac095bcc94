/** Image file directories: the structure of a TIFF, and of the EXIF block inside other formats (TIFF 6.0 § 2). */
import { undecodable, type ByteView } from './byte-view.ts';

export const TAG = {
  newSubfileType: 254,
  subfileType: 255,
  width: 256,
  height: 257,
  bitsPerSample: 258,
  photometric: 262,
  stripOffsets: 273,
  orientation: 274,
  samplesPerPixel: 277,
  stripByteCounts: 279,
  tileOffsets: 324,
  tileByteCounts: 325,
  sampleFormat: 339,
  thumbnailOffset: 513,
  thumbnailByteCount: 514,
  xmp: 700,
  exifIfd: 34665,
  icc: 34675,
  gpsIfd: 34853,
  interoperabilityIfd: 40965,
} as const;

/** Bytes of one value by field type; types that TIFF 6.0 does not know take none. */
const TYPE_BYTES = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4];
const SHORT = 3;

const ENTRY_BYTES = 12;

export interface IfdEntry {
  readonly tag: number;
  readonly type: number;
  readonly count: number;
  /** Where the values lie: in the entry itself when they fit into four bytes. */
  readonly valueAt: number;
  readonly byteLength: number;
}

export interface Ifd {
  readonly at: number;
  readonly byteLength: number;
  readonly entries: readonly IfdEntry[];
  /** Where the offset of the next directory is written, and that offset (0: none). */
  readonly nextAt: number;
  readonly next: number;
}

export interface TiffStart {
  readonly littleEndian: boolean;
  readonly firstIfd: number;
}

export function isTiff(view: ByteView): boolean {
  return view.has(0, 'II*\0') || view.has(0, 'MM\0*');
}

/** @throws {DeblurError} `image_undecodable` without the byte-order mark and 42 */
export function readTiffStart(view: ByteView): TiffStart {
  if (!isTiff(view)) throw undecodable('The TIFF structure has no valid beginning.');
  const littleEndian = view.u8(0) === 0x49;
  return { littleEndian, firstIfd: view.u32(4, littleEndian) };
}

/** @throws {DeblurError} `image_undecodable`, `image_truncated` */
export function readIfd(view: ByteView, at: number, littleEndian: boolean): Ifd {
  if (at < 8) throw undecodable('A TIFF directory lies inside the header.');
  const count = view.u16(at, littleEndian);
  const nextAt = at + 2 + count * ENTRY_BYTES;
  view.require(at + 2, count * ENTRY_BYTES);
  const entries = Array.from({ length: count }, (_, i) => readEntry(view, at + 2 + i * ENTRY_BYTES, littleEndian));
  return { at, byteLength: nextAt + 4 - at, entries, nextAt, next: view.u32(nextAt, littleEndian) };
}

function readEntry(view: ByteView, at: number, littleEndian: boolean): IfdEntry {
  const type = view.u16(at + 2, littleEndian);
  const count = view.u32(at + 4, littleEndian);
  const byteLength = count * (TYPE_BYTES[type] ?? 0);
  const valueAt = byteLength <= 4 ? at + 8 : view.u32(at + 8, littleEndian);
  return { tag: view.u16(at, littleEndian), type, count, valueAt, byteLength };
}

export function findEntry(ifd: Ifd, tag: number): IfdEntry | undefined {
  return ifd.entries.find((entry) => entry.tag === tag);
}

/** Value `index` of a BYTE, SHORT or LONG entry; undefined when it has another type or fewer values. */
export function entryValue(view: ByteView, entry: IfdEntry, index: number, littleEndian: boolean): number | undefined {
  if (index >= entry.count) return undefined;
  switch (TYPE_BYTES[entry.type]) {
    case 1:
      return view.u8(entry.valueAt + index);
    case 2:
      return view.u16(entry.valueAt + 2 * index, littleEndian);
    case 4:
      return view.u32(entry.valueAt + 4 * index, littleEndian);
    default:
      return undefined;
  }
}

/** First value of a tag, or undefined. */
export function tagValue(view: ByteView, ifd: Ifd, tag: number, littleEndian: boolean): number | undefined {
  const entry = findEntry(ifd, tag);
  return entry === undefined ? undefined : entryValue(view, entry, 0, littleEndian);
}

/** 1..8; 1 when absent or broken (EXIF 2.32 § 4.6.4 A: SHORT, count 1). */
export function ifdOrientation(view: ByteView, ifd: Ifd, littleEndian: boolean): number {
  const entry = findEntry(ifd, TAG.orientation);
  if (entry?.type !== SHORT) return 1;
  const value = entryValue(view, entry, 0, littleEndian) ?? 1;
  return value >= 1 && value <= 8 ? value : 1;
}
