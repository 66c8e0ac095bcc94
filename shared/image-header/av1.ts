/** AV1 bitstreams (AV1 Bitstream & Decoding Process Specification § 5): what one of them says of its size, colour and number of frames. */
import { Bits } from './bits.ts';
import { undecodable } from './byte-view.ts';

const OBU = { sequenceHeader: 1, frameHeader: 3, frame: 6 } as const;

/** Colour as ITU-T H.273 numbers it. */
export interface Cicp {
  readonly primaries: number;
  readonly transfer: number;
}

export interface CodedColour extends Cicp {
  readonly matrix: number;
  readonly fullRange: boolean;
}

export interface Av1Summary {
  /** Of the largest frame that the sequence header allows. */
  readonly width: number;
  readonly height: number;
  /** Frames that a decoder makes, shown or not. */
  readonly frames: number;
  /** Undefined when the bitstream leaves the colours open. */
  readonly colour: CodedColour | undefined;
}

/** @throws {DeblurError} `image_undecodable` without a sequence header */
export function summarizeAv1(data: Uint8Array): Av1Summary {
  let sequence: Omit<Av1Summary, 'frames'> | undefined;
  let frames = 0;
  for (const { type, payload } of obus(data)) {
    if (type === OBU.sequenceHeader) sequence = larger(sequence, readSequenceHeader(payload));
    if (type === OBU.frameHeader || type === OBU.frame) frames++;
  }
  if (sequence === undefined) throw undecodable('The AV1 data has no sequence header.');
  return { ...sequence, frames };
}

function larger<T extends { readonly width: number; readonly height: number }>(before: T | undefined, next: T): T {
  return before !== undefined && before.width * before.height > next.width * next.height ? before : next;
}

function* obus(data: Uint8Array): Generator<{ readonly type: number; readonly payload: Uint8Array }, void> {
  let at = 0;
  while (at < data.length) {
    const header = data[at]!;
    at += (header & 4) === 0 ? 1 : 2;
    let size = data.length - at;
    if ((header & 2) !== 0) [size, at] = leb128(data, at);
    if (size < 0 || at + size > data.length) throw undecodable('The AV1 data is broken.');
    yield { type: (header >> 3) & 15, payload: data.subarray(at, at + size) };
    at += size;
  }
}

/** @returns the number, and the offset behind it */
function leb128(data: Uint8Array, start: number): [value: number, at: number] {
  let value = 0;
  for (let i = 0; i < 8; i++) {
    const byte = data[start + i] ?? 0;
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return [value, start + i + 1];
  }
  throw undecodable('The AV1 data is broken.');
}

/** § 5.5.1, up to the colour description. */
function readSequenceHeader(payload: Uint8Array): Omit<Av1Summary, 'frames'> {
  const bits = new Bits(payload);
  const profile = bits.read(3);
  bits.skip(1);
  const reduced = bits.flag();
  if (reduced) bits.skip(5);
  else skipOperatingPoints(bits);
  const widthBits = bits.read(4) + 1;
  const heightBits = bits.read(4) + 1;
  const width = bits.read(widthBits) + 1;
  const height = bits.read(heightBits) + 1;
  if (!reduced && bits.flag()) bits.skip(7);
  bits.skip(3);
  if (!reduced) skipTools(bits);
  bits.skip(3);
  return { width, height, colour: readColour(bits, profile) };
}

function skipOperatingPoints(bits: Bits): void {
  let delayBits = 0;
  let decoderModel = false;
  if (bits.flag()) {
    bits.skip(64);
    if (bits.flag()) bits.skipUvlc();
    decoderModel = bits.flag();
    if (decoderModel) {
      delayBits = bits.read(5) + 1;
      bits.skip(42);
    }
  }
  const displayDelay = bits.flag();
  for (let points = bits.read(5) + 1; points > 0; points--) {
    bits.skip(12);
    if (bits.read(5) > 7) bits.skip(1);
    if (decoderModel && bits.flag()) bits.skip(2 * delayBits + 1);
    if (displayDelay && bits.flag()) bits.skip(4);
  }
}

function skipTools(bits: Bits): void {
  bits.skip(4);
  const orderHint = bits.flag();
  if (orderHint) bits.skip(2);
  const screenContent = bits.flag() ? 2 : bits.read(1);
  if (screenContent > 0 && !bits.flag()) bits.skip(1);
  if (orderHint) bits.skip(3);
}

/** § 5.5.2. 2 means unspecified. */
function readColour(bits: Bits, profile: number): CodedColour | undefined {
  const high = bits.flag();
  if (profile === 2 && high) bits.skip(1);
  if (profile !== 1) bits.skip(1);
  if (!bits.flag()) return undefined;
  const [primaries, transfer, matrix] = [bits.read(8), bits.read(8), bits.read(8)];
  // RGB coded as it is says no range.
  const fullRange = (primaries === 1 && transfer === 13 && matrix === 0) || bits.flag();
  return { primaries, transfer, matrix, fullRange };
}
