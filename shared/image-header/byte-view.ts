import { pictureFaulty, pictureTruncated, type DeblurError } from '../protocol/errors.ts';

/** The header does not lie within the bytes given so far: read at least `neededBytes` of the file and ask again. */
export class HeaderIncomplete extends Error {
  override readonly name = 'HeaderIncomplete';
  /** A lower bound: more may turn out to be needed. */
  readonly neededBytes: number;
  /** What was missing: so many bytes from here. */
  readonly at: number;
  readonly length: number;

  constructor(at: number, length: number) {
    super(`at least ${at + length} bytes are needed`);
    this.neededBytes = at + length;
    this.at = at;
    this.length = length;
  }
}

/** Bytes of a file, and where in it they lie. */
export interface Piece {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** A file of known length of which some pieces are here. */
export interface Pieces {
  readonly length: number;
  readonly pieces: readonly Piece[];
}

/**
 * Bounds-checked reads over the bytes of a file. Reading beyond the end throws `image_truncated` when the end is known,
 * HeaderIncomplete when the bytes are the file's beginning, or when they lie between its pieces; no parser has to check a
 * length itself.
 */
export class ByteView {
  /** The file, or its beginning. */
  readonly bytes: Uint8Array;
  /** Whether every byte of the file is here. */
  readonly complete: boolean;
  readonly #file: Pieces | undefined;
  /** The piece that was read last, and where it lies. */
  #view: DataView;
  #from = 0;
  #to: number;

  /** @param file beside its beginning; the file is not `complete` then */
  constructor(bytes: Uint8Array, complete = true, file?: Pieces) {
    this.bytes = bytes;
    this.complete = complete;
    this.#file = file;
    this.#view = viewOf(bytes);
    this.#to = bytes.length;
  }

  /** Of the file, or of the beginning when no more is known. */
  get length(): number {
    return this.#file?.length ?? this.bytes.length;
  }

  /** Makes sure that the file has `length` bytes from `at`. */
  require(at: number, length: number): void {
    if (at + length <= this.length) return;
    if (!this.complete && this.#file === undefined) throw new HeaderIncomplete(at, length);
    throw pictureTruncated('file');
  }

  u8(at: number): number {
    const offset = this.#seek(at, 1);
    return this.#view.getUint8(offset);
  }

  u16(at: number, littleEndian = false): number {
    const offset = this.#seek(at, 2);
    return this.#view.getUint16(offset, littleEndian);
  }

  /** Little-endian, as WebP writes canvas sizes. */
  u24le(at: number): number {
    return this.u16(at, true) | (this.u8(at + 2) << 16);
  }

  u32(at: number, littleEndian = false): number {
    const offset = this.#seek(at, 4);
    return this.#view.getUint32(offset, littleEndian);
  }

  /** Bytes as characters, one each: for signatures and four-character codes. */
  ascii(at: number, length: number): string {
    return String.fromCharCode(...this.slice(at, length));
  }

  /** Whether the bytes at `at` are this text; false beyond the end. */
  has(at: number, text: string): boolean {
    return at + text.length <= this.length && this.ascii(at, text.length) === text;
  }

  /** Bytes `at`..`at + length`, not copied. */
  slice(at: number, length: number): Uint8Array {
    const offset = this.#seek(at, length);
    return new Uint8Array(this.#view.buffer, this.#view.byteOffset + offset, length);
  }

  /** Turns to the piece that has these bytes. @returns where they begin in it */
  #seek(at: number, length: number): number {
    if (at < this.#from || at + length > this.#to) this.#turn(at, length);
    return at - this.#from;
  }

  #turn(at: number, length: number): void {
    this.require(at, length);
    const piece = this.#file?.pieces.find(({ at: from, bytes }) => at >= from && at + length <= from + bytes.length);
    if (piece === undefined) throw new HeaderIncomplete(at, length);
    this.#view = viewOf(piece.bytes);
    this.#from = piece.at;
    this.#to = piece.at + piece.bytes.length;
  }
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export function undecodable(detail: string): DeblurError {
  return pictureFaulty(detail);
}
