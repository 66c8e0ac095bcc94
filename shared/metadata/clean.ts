/** Descriptions made to fit the restored picture: it stands upright, and no thumbnail shows the blurred one. */
import { ByteView } from '../image-header/byte-view.ts';
import { withoutExifPrefix } from '../image-header/exif.ts';
import { entryValue, findEntry, readIfd, readTiffStart, TAG, tagValue, type Ifd } from '../image-header/ifd.ts';

/** Half-open: from the first byte to the one after the last. */
type Range = readonly [start: number, end: number];

/** IFD1 holds the thumbnail; nothing in the standard comes after it. */
const MAX_DIRECTORIES = 8;

/**
 * EXIF with its orientation set to 1 and without IFD1 and its thumbnail. All other bytes stay where they are: maker
 * notes point to offsets of the whole block, so nothing may move. What is removed is zeroed, and cut off at the end.
 * @param exif TIFF structure, with or without the prefix that JPEG has; not changed
 * @returns undefined when the structure is broken
 */
export function cleanExif(exif: Uint8Array): Uint8Array | undefined {
  try {
    return rewrite(withoutExifPrefix(exif));
  } catch {
    return undefined;
  }
}

function rewrite(exif: Uint8Array): Uint8Array {
  const view = new ByteView(exif);
  const { littleEndian, firstIfd } = readTiffStart(view);
  const main = readIfd(view, firstIfd, littleEndian);
  const removed = merge(thumbnailRanges(view, main, littleEndian), exif.length);
  const kept = merge([[0, 8], ...directoryRanges(view, main, littleEndian)], exif.length);
  const out = exif.slice();
  for (const [start, end] of removed) out.fill(0, start, end);
  // In a malicious or careless block the thumbnail may overlap what is kept: what is kept wins.
  for (const [start, end] of kept) out.set(exif.subarray(start, end), start);
  const orientation = findEntry(main, TAG.orientation);
  // SHORT, inline, as the standard has it; anything else is read as 1 by everyone already.
  const data = new DataView(out.buffer);
  if (orientation?.type === 3 && orientation.byteLength <= 4) data.setUint16(orientation.valueAt, 1, littleEndian);
  data.setUint32(main.nextAt, 0, littleEndian);
  return out.subarray(0, trimmedLength(out.length, removed, kept));
}

/** Without removed bytes at the end. */
function trimmedLength(length: number, removed: readonly Range[], kept: readonly Range[]): number {
  const last = removed.at(-1);
  if (last === undefined || last[1] < length) return length;
  return Math.max(last[0], kept.at(-1)![1]);
}

/** Everything that hangs on IFD1 and directories chained after it. */
function thumbnailRanges(view: ByteView, main: Ifd, littleEndian: boolean): Range[] {
  const ranges: Range[] = [];
  const seen = new Set([main.at]);
  let { next } = main;
  while (next !== 0 && !seen.has(next) && seen.size < MAX_DIRECTORIES) {
    seen.add(next);
    const ifd = tryReadIfd(view, next, littleEndian);
    if (ifd === undefined) break;
    ranges.push(...ownRanges(ifd), ...dataRanges(view, ifd, littleEndian));
    next = ifd.next;
  }
  return ranges;
}

/** A JPEG thumbnail, or an uncompressed one in strips. */
function dataRanges(view: ByteView, ifd: Ifd, littleEndian: boolean): Range[] {
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
      const start = entryValue(view, offsets, i, littleEndian);
      const length = entryValue(view, counts, i, littleEndian);
      if (start === undefined || length === undefined) break;
      ranges.push([start, start + length]);
    }
  }
  return ranges;
}

/** IFD0 and the private directories that it names. */
function directoryRanges(view: ByteView, main: Ifd, littleEndian: boolean): Range[] {
  const ranges = ownRanges(main);
  const follow = (parent: Ifd, tag: number): Ifd | undefined => {
    const at = tagValue(view, parent, tag, littleEndian);
    const ifd = at === undefined ? undefined : tryReadIfd(view, at, littleEndian);
    if (ifd !== undefined) ranges.push(...ownRanges(ifd));
    return ifd;
  };
  const exif = follow(main, TAG.exifIfd);
  follow(main, TAG.gpsIfd);
  if (exif !== undefined) follow(exif, TAG.interoperabilityIfd);
  return ranges;
}

/** The directory, and the values that did not fit into it. */
function ownRanges(ifd: Ifd): Range[] {
  const values = ifd.entries.filter(({ byteLength }) => byteLength > 4);
  return [
    [ifd.at, ifd.at + ifd.byteLength],
    ...values.map(({ valueAt, byteLength }): Range => [valueAt, valueAt + byteLength]),
  ];
}

function tryReadIfd(view: ByteView, at: number, littleEndian: boolean): Ifd | undefined {
  try {
    return readIfd(view, at, littleEndian);
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

const XMP_ORIENTATION = /(tiff:Orientation(?:\s*=\s*["']|>))[2-8](?=["'<])/g;

/** XMP with its copy of the orientation set to 1, as long as before. Undefined when it is not UTF-8 text. */
export function cleanXmp(xmp: Uint8Array): Uint8Array | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(xmp);
    if (text.includes('\0')) return undefined;
    return new TextEncoder().encode(text.replace(XMP_ORIENTATION, (_, before: string) => `${before}1`));
  } catch {
    return undefined;
  }
}
