/** EXIF made to fit the restored picture: it stands upright, and no thumbnail shows the blurred one. */
import { ByteView } from '../image-header/byte-view.ts';
import { withoutExifPrefix } from '../image-header/exif.ts';
import { findEntry, TAG, TiffReader, type Ifd, type IfdEntry } from '../image-header/ifd.ts';

/** In pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

const SHORT = 3;
const LONG = 4;

/** Half-open: from the first byte to the one after the last. */
type Range = readonly [start: number, end: number];

/** IFD1 holds the thumbnail; nothing in the standard comes after it. */
const MAX_DIRECTORIES = 8;

/**
 * EXIF of the restored picture: orientation 1, its size, and no IFD1 with its thumbnail. All other bytes stay where they are: maker
 * notes point to offsets of the whole block, so nothing may move. What is removed is zeroed, and cut off at the end.
 * @param exif TIFF structure, with or without the prefix that JPEG has; not changed
 * @param size of the restored picture, written where the block states one
 * @returns undefined when the structure is broken
 */
export function cleanExif(exif: Uint8Array, size: Size): Uint8Array | undefined {
  try {
    return rewrite(withoutExifPrefix(exif), size);
  } catch {
    return undefined;
  }
}

function rewrite(exif: Uint8Array, size: Size): Uint8Array {
  const reader = new TiffReader(new ByteView(exif));
  if (reader.big) throw new Error('EXIF is a classic TIFF structure');
  const main = reader.readIfd(reader.firstIfd);
  const own = ownDirectories(reader, main);
  const removed = merge(thumbnailRanges(reader, main), exif.length);
  const kept = merge([[0, 8], ...own.flatMap(ownRanges)], exif.length);
  const out = exif.slice();
  for (const [start, end] of removed) out.fill(0, start, end);
  // In a malicious or careless block the thumbnail may overlap what is kept: what is kept wins.
  for (const [start, end] of kept) out.set(exif.subarray(start, end), start);
  const data = new DataView(out.buffer);
  for (const entry of own.flatMap(({ entries }) => entries)) {
    const value = restatedValue(entry.tag, size);
    if (value !== undefined) writeEntry(data, entry, value, reader.littleEndian);
  }
  data.setUint32(main.nextAt, 0, reader.littleEndian);
  return out.subarray(0, trimmedLength(out.length, removed, kept));
}

/** What a tag says of the restored picture; undefined for tags that describe something else. */
function restatedValue(tag: number, { width, height }: Size): number | undefined {
  if (tag === TAG.orientation) return 1;
  if (tag === TAG.width || tag === TAG.pixelWidth) return width;
  return tag === TAG.height || tag === TAG.pixelHeight ? height : undefined;
}

/** One SHORT, or a LONG where the value needs it, in the entry itself: whatever type and count the entry had before. */
function writeEntry(data: DataView, { at, type }: IfdEntry, value: number, littleEndian: boolean): void {
  const asLong = type === LONG || value > 0xffff;
  data.setUint16(at + 2, asLong ? LONG : SHORT, littleEndian);
  data.setUint32(at + 4, 1, littleEndian);
  data.setUint32(at + 8, 0);
  if (asLong) data.setUint32(at + 8, value, littleEndian);
  else data.setUint16(at + 8, value, littleEndian);
}

/** Without removed bytes at the end. */
function trimmedLength(length: number, removed: readonly Range[], kept: readonly Range[]): number {
  const last = removed.at(-1);
  if (last === undefined || last[1] < length) return length;
  return Math.max(last[0], kept.at(-1)![1]);
}

/** Everything that hangs on IFD1 and directories chained after it. */
function thumbnailRanges(reader: TiffReader, main: Ifd): Range[] {
  const ranges: Range[] = [];
  const seen = new Set([main.at]);
  let { next } = main;
  while (next !== 0 && !seen.has(next) && seen.size < MAX_DIRECTORIES) {
    seen.add(next);
    const ifd = tryReadIfd(reader, next);
    if (ifd === undefined) break;
    ranges.push(...ownRanges(ifd), ...dataRanges(reader, ifd));
    next = ifd.next;
  }
  return ranges;
}

/** A JPEG thumbnail, or an uncompressed one in strips. */
function dataRanges(reader: TiffReader, ifd: Ifd): Range[] {
  const { view } = reader;
  const ranges: Range[] = [];
  const pairs = [
    [TAG.thumbnailOffset, TAG.thumbnailByteCount],
    [TAG.stripOffsets, TAG.stripByteCounts],
  ] as const;
  for (const [offsetTag, countTag] of pairs) {
    const offsets = findEntry(ifd, offsetTag);
    const counts = findEntry(ifd, countTag);
    if (offsets === undefined || counts === undefined) continue;
    if (offsets.valueAt + offsets.byteLength > view.length) continue;
    if (counts.valueAt + counts.byteLength > view.length) continue;
    for (let i = 0; i < Math.min(offsets.count, counts.count); i++) {
      const start = reader.value(offsets, i);
      const length = reader.value(counts, i);
      if (start === undefined || length === undefined) break;
      ranges.push([start, start + length]);
    }
  }
  return ranges;
}

/** IFD0 and the private directories that it names. */
function ownDirectories(reader: TiffReader, main: Ifd): Ifd[] {
  const follow = (parent: Ifd | undefined, tag: number): Ifd | undefined => {
    const at = parent === undefined ? undefined : reader.tagValue(parent, tag);
    return at === undefined ? undefined : tryReadIfd(reader, at);
  };
  const exif = follow(main, TAG.exifIfd);
  const gps = follow(main, TAG.gpsIfd);
  const interoperability = follow(exif, TAG.interoperabilityIfd);
  return [main, exif, gps, interoperability].filter((ifd) => ifd !== undefined);
}

/** The directory, and the values that did not fit into it. */
function ownRanges(ifd: Ifd): Range[] {
  const values = ifd.entries.filter(({ byteLength }) => byteLength > 4);
  return [
    [ifd.at, ifd.at + ifd.byteLength],
    ...values.map(({ valueAt, byteLength }): Range => [valueAt, valueAt + byteLength]),
  ];
}

function tryReadIfd(reader: TiffReader, at: number): Ifd | undefined {
  try {
    return reader.readIfd(at);
  } catch {
    return undefined;
  }
}

/** Sorted, within the block, and no two overlapping: so that the work is linear in the block whatever it claims. */
function merge(ranges: readonly Range[], length: number): Range[] {
  const merged: [number, number][] = [];
  for (const [start, end] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const stop = Math.min(end, length);
    const last = merged.at(-1);
    if (last !== undefined && start <= last[1]) last[1] = Math.max(last[1], stop);
    else if (start < stop) merged.push([start, stop]);
  }
  return merged;
}
