/** HEVC pictures in HEIF (ITU-T H.265 § 7.3; ISO/IEC 14496-15 § 8.3.3.1): what their parameter sets say of the size. */
import { undecodable } from './byte-view.ts';
import { Bits } from './bits.ts';

/** NAL unit types: coded slices up to 31, the sequence parameter set. */
const MAX_SLICE_TYPE = 31;
const SPS = 33;

export interface HevcSummary {
  /** Of the largest picture that a parameter set announces. */
  readonly width: number;
  readonly height: number;
  /** Pictures that a decoder makes. */
  readonly frames: number;
}

/**
 * @param config the payload of `hvcC`
 * @param data of the item: units, each with its length before it
 * @throws {DeblurError} `image_undecodable` without a parameter set
 */
export function summarizeHevc(config: Uint8Array, data: Uint8Array): HevcSummary {
  const lengthBytes = ((config[21] ?? 3) & 3) + 1;
  let size: { readonly width: number; readonly height: number } | undefined;
  let frames = 0;
  for (const unit of [...configuredUnits(config), ...unitsOf(data, lengthBytes)]) {
    const type = ((unit[0] ?? 0) >> 1) & 63;
    // The first slice of a picture says so in its first bit.
    if (type <= MAX_SLICE_TYPE && ((unit[2] ?? 0) & 0x80) !== 0) frames++;
    if (type !== SPS) continue;
    const next = readSps(unit);
    if (size === undefined || next.width * next.height > size.width * size.height) size = next;
  }
  if (size === undefined) throw undecodable('The HEVC data has no sequence parameter set.');
  return { ...size, frames };
}

/** Arrays of units: a type, how many, and each with a length of two bytes. */
function* configuredUnits(config: Uint8Array): Generator<Uint8Array, void> {
  let at = 23;
  for (let arrays = config[22] ?? 0; arrays > 0; arrays--) {
    let units = u16(config, at + 1);
    at += 3;
    for (; units > 0 && at < config.length; units--) {
      const length = u16(config, at);
      yield config.subarray(at + 2, at + 2 + length);
      at += 2 + length;
    }
  }
}

function* unitsOf(data: Uint8Array, lengthBytes: number): Generator<Uint8Array, void> {
  let at = 0;
  while (at + lengthBytes <= data.length) {
    let length = 0;
    for (let i = 0; i < lengthBytes; i++) length = length * 256 + data[at + i]!;
    at += lengthBytes;
    if (at + length > data.length) throw undecodable('The HEVC data is broken.');
    yield data.subarray(at, at + length);
    at += length;
  }
}

function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) * 256 + (bytes[at + 1] ?? 0);
}

/** H.265 § 7.3.2.2.1, up to the size. */
function readSps(unit: Uint8Array): { width: number; height: number } {
  const bits = new Bits(withoutEmulation(unit.subarray(2)));
  bits.skip(4);
  const subLayers = bits.read(3);
  bits.skip(1);
  skipProfileTierLevel(bits, subLayers);
  bits.readExpGolomb();
  const chroma = bits.readExpGolomb();
  if (chroma === 3) bits.skip(1);
  return { width: bits.readExpGolomb(), height: bits.readExpGolomb() };
}

/** § 7.3.3. */
function skipProfileTierLevel(bits: Bits, subLayers: number): void {
  bits.skip(96);
  const present: (readonly [profile: boolean, level: boolean])[] = [];
  for (let i = 0; i < subLayers; i++) present.push([bits.flag(), bits.flag()]);
  if (subLayers > 0) bits.skip(2 * (8 - subLayers));
  for (const [profile, level] of present) bits.skip((profile ? 88 : 0) + (level ? 8 : 0));
}

/** The parameter set's bytes: 0, 0, 3 stands for 0, 0 (§ 7.4.2). It is short, and its size comes early. */
function withoutEmulation(payload: Uint8Array): Uint8Array {
  const out: number[] = [];
  const until = Math.min(payload.length, 256);
  for (let i = 0; i < until; i++) {
    const emulated = payload[i] === 3 && i >= 2 && payload[i - 1] === 0 && payload[i - 2] === 0;
    if (!emulated) out.push(payload[i]!);
  }
  return Uint8Array.from(out);
}
