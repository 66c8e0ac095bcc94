import { DeblurError } from '../errors.ts';

/** The header does not lie within the bytes given so far: read at least `neededBytes` of the file and ask again. */
export class HeaderIncomplete extends Error {
  override readonly name = 'HeaderIncomplete';
  /** A lower bound: more may turn out to be needed. */
  readonly neededBytes: number;

  constructor(neededBytes: number) {
    super(`at least ${neededBytes} bytes are needed`);
    this.neededBytes = neededBytes;
  }
}

/**
 * Bounds-checked reads over the bytes of a file. Reading beyond the end throws `image_truncated` when the bytes are the
 * whole file, HeaderIncomplete when they are its beginning; no parser has to check a length itself.
 */
export class ByteView {
  readonly bytes: Uint8Array;
  readonly complete: boolean;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, complete = true) {
    this.bytes = bytes;
    this.complete = complete;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get length(): number {
    return this.bytes.length;
  }

  /** Makes sure that `length` bytes from `at` are there. */
  require(at: number, length: number): void {
    if (at + length <= this.bytes.length) return;
    if (!this.complete) throw new HeaderIncomplete(at + length);
    throw new DeblurError('image_truncated', 'The file ends before its picture does.');
  }

  u8(at: number): number {
    this.require(at, 1);
    return this.#view.getUint8(at);
  }

  u16(at: number, littleEndian = false): number {
    this.require(at, 2);
    return this.#view.getUint16(at, littleEndian);
  }

  /** Little-endian, as WebP writes canvas sizes. */
  u24le(at: number): number {
    return this.u16(at, true) | (this.u8(at + 2) << 16);
  }

  u32(at: number, littleEndian = false): number {
    this.require(at, 4);
    return this.#view.getUint32(at, littleEndian);
  }

  /** Bytes as characters, one each: for signatures and four-character codes. */
  ascii(at: number, length: number): string {
    this.require(at, length);
    return String.fromCharCode(...this.bytes.subarray(at, at + length));
  }

  /** Whether the bytes at `at` are this text; false beyond the end. */
  has(at: number, text: string): boolean {
    return at + text.length <= this.bytes.length && this.ascii(at, text.length) === text;
  }

  /** Bytes `at`..`at + length`, not copied. */
  slice(at: number, length: number): Uint8Array {
    this.require(at, length);
    return this.bytes.subarray(at, at + length);
  }
}

export function undecodable(detail: string): DeblurError {
  return new DeblurError('image_undecodable', detail);
}
