/**
 * Metadata in TIFF: ICC in tag 34675 (ICC.1 Annex B.3), XMP in tag 700 (XMP part 3 § 1.1.7), IPTC in tag 33723. Its EXIF are its own
 * directories, which are copied into a structure of their own.
 */
import { ByteView } from '../image-header/byte-view.ts';
import { findEntry, TAG, TiffReader, TYPE_BYTES, type Ifd, type IfdEntry } from '../image-header/ifd.ts';
import { METADATA_BLOCK_MAX_BYTES } from '../limits.ts';
import { iptcOf } from './photoshop.ts';
import type { MetadataDraft } from './types.ts';

/**
 * Tags of the first directory that describe the picture and not how this file stores it (EXIF 2.32 § 4.6.4): description, make and
 * model, resolution, software, date, artist, white point, primaries, copyright.
 */
const DESCRIPTIVE_TAGS: readonly number[] = [
  270, 271, 272, 274, 282, 283, 296, 301, 305, 306, 315, 318, 319, 33432, 40091, 40092, 40093, 40094, 40095,
];

/** Directories that hang on the first one, and on the Exif directory. */
const PRIVATE_DIRECTORIES: readonly number[] = [TAG.exifIfd, TAG.gpsIfd, TAG.interoperabilityIfd];

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
  const resources = block(TAG.photoshop);
  const iptc = block(TAG.iptc) ?? (resources === undefined ? undefined : iptcOf(resources));
  if (iptc !== undefined) found.iptc = iptc;
  const exif = new ExifCopy(reader).of(ifd);
  if (exif !== undefined) found.exif = exif;
}

interface CopiedEntry {
  readonly tag: number;
  readonly type: number;
  readonly count: number;
  /** The values, or the directory that the entry names. */
  readonly value: Uint8Array | readonly CopiedEntry[];
}

const LONG = 4;

/** A classic TIFF structure of the same byte order. Maker notes move with their values: offsets inside them may no longer lead anywhere. */
class ExifCopy {
  readonly #reader: TiffReader;
  #bytesLeft = METADATA_BLOCK_MAX_BYTES;

  constructor(reader: TiffReader) {
    this.#reader = reader;
  }

  /** Undefined when the directory describes nothing. */
  of(ifd: Ifd): Uint8Array | undefined {
    const entries = this.#entriesOf(ifd, (tag) => DESCRIPTIVE_TAGS.includes(tag), 0);
    return entries.length === 0 ? undefined : new ExifWriter(this.#reader.littleEndian).write(entries);
  }

  #entriesOf(ifd: Ifd, wanted: (tag: number) => boolean, depth: number): CopiedEntry[] {
    return ifd.entries.flatMap((entry) => {
      if (PRIVATE_DIRECTORIES.includes(entry.tag)) return depth < 2 ? this.#directory(entry, depth) : [];
      return wanted(entry.tag) ? this.#values(entry) : [];
    });
  }

  #directory(entry: IfdEntry, depth: number): CopiedEntry[] {
    const at = this.#reader.value(entry, 0);
    if (at === undefined) return [];
    try {
      const value = this.#entriesOf(this.#reader.readIfd(at), () => true, depth + 1);
      return value.length === 0 ? [] : [{ tag: entry.tag, type: LONG, count: 1, value }];
    } catch {
      // A broken directory costs itself only.
      return [];
    }
  }

  /** Nothing for types that a classic structure lacks, for values outside the file, and above the limit of a block. */
  #values({ tag, type, count, valueAt, byteLength }: IfdEntry): CopiedEntry[] {
    const { view } = this.#reader;
    if (type > 12 || TYPE_BYTES[type] === 0 || byteLength === 0) return [];
    if (valueAt + byteLength > view.length || byteLength > this.#bytesLeft) return [];
    this.#bytesLeft -= byteLength;
    return [{ tag, type, count, value: view.slice(valueAt, byteLength) }];
  }
}

class ExifWriter {
  readonly #littleEndian: boolean;
  #out = new Uint8Array(1024);
  #length = 8;

  constructor(littleEndian: boolean) {
    this.#littleEndian = littleEndian;
  }

  write(entries: readonly CopiedEntry[]): Uint8Array {
    this.#out.set(this.#littleEndian ? [0x49, 0x49, 42, 0, 8, 0, 0, 0] : [0x4d, 0x4d, 0, 42, 0, 0, 0, 8]);
    this.#directory(entries);
    return this.#out.slice(0, this.#length);
  }

  /** @returns where it lies. Tags are sorted, as TIFF 6.0 § 2 asks for. */
  #directory(entries: readonly CopiedEntry[]): number {
    const at = this.#reserve(2 + 12 * entries.length + 4);
    this.#put(at, 2, entries.length);
    [...entries]
      .sort((a, b) => a.tag - b.tag)
      .forEach((entry, i) => {
        this.#entry(at + 2 + 12 * i, entry);
      });
    return at;
  }

  #entry(at: number, { tag, type, count, value }: CopiedEntry): void {
    this.#put(at, 2, tag);
    this.#put(at + 2, 2, type);
    this.#put(at + 4, 4, count);
    if (!(value instanceof Uint8Array)) this.#put(at + 8, 4, this.#directory(value as readonly CopiedEntry[]));
    else if (value.length <= 4) this.#out.set(value, at + 8);
    else {
      const valueAt = this.#reserve(value.length);
      this.#out.set(value, valueAt);
      this.#put(at + 8, 4, valueAt);
    }
  }

  /** Offsets are even (TIFF 6.0 § 2). */
  #reserve(bytes: number): number {
    const at = this.#length + (this.#length % 2);
    this.#length = at + bytes;
    if (this.#length > this.#out.length) {
      const grown = new Uint8Array(2 * this.#length);
      grown.set(this.#out);
      this.#out = grown;
    }
    return at;
  }

  #put(at: number, bytes: 2 | 4, value: number): void {
    const view = new DataView(this.#out.buffer);
    if (bytes === 2) view.setUint16(at, value, this.#littleEndian);
    else view.setUint32(at, value, this.#littleEndian);
  }
}
