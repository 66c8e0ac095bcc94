/**
 * Image file directories: the structure of a TIFF, of the EXIF block inside other formats (TIFF 6.0 § 2), and of a BigTIFF, whose
 * offsets and counts have 64 bits (libtiff's BigTIFF file format proposal).
 */
import { undecodable, type ByteView } from './byte-view.ts';

export const TAG = {
  newSubfileType: 254,
  subfileType: 255,
  width: 256,
  height: 257,
  bitsPerSample: 258,
  compression: 259,
  photometric: 262,
  stripOffsets: 273,
  orientation: 274,
  samplesPerPixel: 277,
  rowsPerStrip: 278,
  stripByteCounts: 279,
  planarConfiguration: 284,
  tileWidth: 322,
  tileLength: 323,
  tileOffsets: 324,
  tileByteCounts: 325,
  subIfds: 330,
  extraSamples: 338,
  sampleFormat: 339,
  thumbnailOffset: 513,
  thumbnailByteCount: 514,
  xmp: 700,
  iptc: 33723,
  photoshop: 34377,
  exifIfd: 34665,
  icc: 34675,
  gpsIfd: 34853,
  pixelWidth: 40962,
  pixelHeight: 40963,
  interoperabilityIfd: 40965,
  dngVersion: 50706,
} as const;

/** Bytes of one value by field type; types that nobody knows take none. 16 to 18 are BigTIFF's. */
export const TYPE_BYTES: readonly number[] = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8];

/** Bytes of one value of the types that are whole numbers; signed ones are read as if they were not. */
const WHOLE_BYTES: Readonly<Record<number, 1 | 2 | 4 | 8>> = {
  1: 1,
  6: 1,
  7: 1,
  3: 2,
  8: 2,
  4: 4,
  9: 4,
  13: 4,
  16: 8,
  17: 8,
  18: 8,
};

/** A TIFF directory has dozens of entries; each becomes an object of many more bytes than it has in the file. */
const MAX_ENTRIES = 4_096;

export interface IfdEntry {
  readonly at: number;
  readonly tag: number;
  readonly type: number;
  readonly count: number;
  /** Where the values lie: in the entry itself when they fit into it. */
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

/** Sizes of the fields of a directory: count of entries, entry, offset, and how many bytes of values fit into an entry. */
const CLASSIC = { countBytes: 2, entryBytes: 12, offsetBytes: 4 } as const;
const BIG = { countBytes: 8, entryBytes: 20, offsetBytes: 8 } as const;

export function isTiff(view: ByteView): boolean {
  return ['II*\0', 'MM\0*', 'II+\0', 'MM\0+'].some((mark) => view.has(0, mark));
}

/** Reads directories of one TIFF structure. */
export class TiffReader {
  readonly view: ByteView;
  readonly littleEndian: boolean;
  readonly big: boolean;
  /** Offset of the first directory. */
  readonly firstIfd: number;

  /** @throws {DeblurError} `image_undecodable` without the byte-order mark and 42 or 43 */
  constructor(view: ByteView) {
    if (!isTiff(view)) throw undecodable('The TIFF structure has no valid beginning.');
    this.view = view;
    this.littleEndian = view.u8(0) === 0x49;
    this.big = view.u16(2, this.littleEndian) === 43;
    if (this.big && (this.#u16(4) !== 8 || this.#u16(6) !== 0)) throw undecodable('The BigTIFF header is invalid.');
    this.firstIfd = this.#offset(this.big ? 8 : 4);
  }

  /** @throws {DeblurError} `image_undecodable`, `image_truncated` */
  readIfd(at: number): Ifd {
    const { countBytes, entryBytes, offsetBytes } = this.big ? BIG : CLASSIC;
    if (at < 2 * offsetBytes) throw undecodable('A TIFF directory lies inside the header.');
    const count = countBytes === 2 ? this.#u16(at) : this.#u64(at);
    if (count > MAX_ENTRIES) throw undecodable('A TIFF directory has too many entries.');
    const first = at + countBytes;
    const nextAt = first + count * entryBytes;
    this.view.require(first, count * entryBytes);
    const entries = Array.from({ length: count }, (_, i) => this.#entry(first + i * entryBytes));
    return { at, byteLength: nextAt + offsetBytes - at, entries, nextAt, next: this.#offset(nextAt) };
  }

  /** Value `index` of a BYTE, SHORT, LONG or LONG8 entry; undefined when it has another type or fewer values. */
  value(entry: IfdEntry, index: number): number | undefined {
    if (index >= entry.count) return undefined;
    switch (WHOLE_BYTES[entry.type]) {
      case 1:
        return this.view.u8(entry.valueAt + index);
      case 2:
        return this.#u16(entry.valueAt + 2 * index);
      case 4:
        return this.#u32(entry.valueAt + 4 * index);
      case 8:
        return this.#u64(entry.valueAt + 8 * index);
      default:
        return undefined;
    }
  }

  /** First value of a tag, or undefined. */
  tagValue(ifd: Ifd, tag: number): number | undefined {
    const entry = findEntry(ifd, tag);
    return entry === undefined ? undefined : this.value(entry, 0);
  }

  /**
   * 1..8; 1 when absent or broken. EXIF 2.32 § 4.6.4 A says SHORT with a count of 1; phones write LONG and BYTE, too, and
   * counts above 1, of which readers take the first.
   */
  orientation(ifd: Ifd): number {
    const value = this.tagValue(ifd, TAG.orientation) ?? 1;
    return value >= 1 && value <= 8 ? value : 1;
  }

  #entry(at: number): IfdEntry {
    const type = this.#u16(at + 2);
    const count = this.big ? this.#u64(at + 4) : this.#u32(at + 4);
    const byteLength = count * (TYPE_BYTES[type] ?? 0);
    const inline = at + (this.big ? 12 : 8);
    const valueAt = byteLength <= (this.big ? 8 : 4) ? inline : this.#offset(inline);
    return { at, tag: this.#u16(at), type, count, valueAt, byteLength };
  }

  #offset(at: number): number {
    return this.big ? this.#u64(at) : this.#u32(at);
  }

  #u16(at: number): number {
    return this.view.u16(at, this.littleEndian);
  }

  #u32(at: number): number {
    return this.view.u32(at, this.littleEndian);
  }

  /** Above 2⁵³ it is rounded: such an offset lies beyond every file. */
  #u64(at: number): number {
    const [low, high] = this.littleEndian ? [at, at + 4] : [at + 4, at];
    return this.#u32(high) * 2 ** 32 + this.#u32(low);
  }
}

export function findEntry(ifd: Ifd, tag: number): IfdEntry | undefined {
  return ifd.entries.find((entry) => entry.tag === tag);
}
