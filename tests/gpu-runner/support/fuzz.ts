/**
 * Hostile pictures: real files of every format, changed where their structure is, through header reader, metadata and decoder. The same
 * seed gives the same files. `npm run fuzz -- --cases 50000 --seed 1` runs it as a command (see fuzz-command.ts).
 */
import { readdir, readFile } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import {
  HeaderIncomplete,
  readImageHeader,
  type ImageFormat,
  type ImageHeader,
} from '@deblur/shared/image-header/index.ts';
import { carriedMetadata, readMetadata, writeMetadata } from '@deblur/shared/metadata/index.ts';
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import { sharpCodec } from '../../../gpu-runner/pictures/sharp-codec.ts';
import { below, randomFrom } from '../../shared/support/random.ts';

/** Larger pictures are refused by this harness: what a decoder may cost is bounded by the declared pixels, which the service limits. */
const MAX_PIXELS = 1_000_000;

const FIXTURES = ['fidelity', 'reported'].map((folder) => new URL(`../../fixtures/${folder}/`, import.meta.url));

export interface Seed {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** The fixtures that are small pictures. */
export async function corpus(): Promise<readonly Seed[]> {
  const seeds: Seed[] = [];
  for (const folder of FIXTURES) {
    for (const name of (await readdir(folder)).sort()) {
      const bytes = new Uint8Array(await readFile(new URL(name, folder)));
      if (bytes.length <= 30_000 && !name.endsWith('.md')) seeds.push({ name, bytes });
    }
  }
  return seeds;
}

export interface FuzzReport {
  readonly cases: number;
  /** By code; `decoded` for those that a decoder took. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Seconds of processor time of the slowest case, and its number. */
  readonly slowest: { readonly seconds: number; readonly number: number };
  /** What should never happen: a failure without a code. */
  readonly faults: readonly string[];
}

/** @param first number of the first case: any one can be run alone */
export async function fuzz(cases: number, seed: number, first = 0): Promise<FuzzReport> {
  const seeds = await corpus();
  const outcomes: Record<string, number> = {};
  const faults: string[] = [];
  let slowest = { seconds: 0, number: -1 };
  for (let number = first; number < first + cases; number++) {
    const random = randomFrom(seed * 1_000_003 + number);
    const { name, bytes } = seeds[below(random, seeds.length)]!;
    const before = process.cpuUsage();
    const outcome = await outcomeOf(mutate(bytes, random), random).catch((error: unknown) => {
      faults.push(`case ${number} of seed ${seed}, made from ${name}: ${String(error)}`);
      return 'fault';
    });
    const { user, system } = process.cpuUsage(before);
    const seconds = (user + system) / 1e6;
    if (seconds > slowest.seconds) slowest = { seconds, number };
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  }
  return { cases, outcomes, slowest, faults };
}

/** @returns the code of a refusal, or `decoded` @throws {unknown} what is not a refusal */
async function outcomeOf(file: Uint8Array, random: () => number): Promise<string> {
  try {
    headerOfBeginning(file.subarray(0, below(random, file.length + 1)));
    const header = readImageHeader(file);
    await carry(file, header);
    if (header.animated) return 'image_animated';
    if (header.width * header.height > MAX_PIXELS) return 'image_too_many_pixels';
    const image = await sharpCodec.decode(file, header);
    const samples = image.width * image.height * image.channels;
    if (image.data.length !== samples) throw new Error(`${image.data.length} samples instead of ${samples}`);
    return 'decoded';
  } catch (error) {
    if (error instanceof DeblurError && error.code !== 'internal' && error.code !== 'runner_failed') return error.code;
    throw error;
  }
}

function headerOfBeginning(bytes: Uint8Array): void {
  try {
    readImageHeader(bytes, { complete: false });
  } catch (error) {
    if (!(error instanceof HeaderIncomplete) && !(error instanceof DeblurError)) throw error;
  }
}

/** Metadata is read without failing; writing it into the same file may be refused. */
async function carry(file: Uint8Array, { format, width, height, channels }: ImageHeader): Promise<void> {
  const metadata = await readMetadata(file, format);
  for (const target of ['jpeg', 'png', 'webp'] as const) {
    const options = { convertedToRgb: false, format: target, channels, size: { width, height } };
    const carried = carriedMetadata(metadata, 'keep', options);
    if (format !== target) continue;
    await writeMetadata(file, target, carried).catch((error: unknown) => {
      if (!(error instanceof DeblurError)) throw error;
    });
  }
}

/** Between one and six changes: of units of the structure, of numbers in them, of bytes. */
export function mutate(file: Uint8Array, random: () => number): Uint8Array {
  let out: Uint8Array = file.slice();
  for (let left = 1 + below(random, 6); left > 0; left--) {
    const kind = random();
    if (kind < 0.45) out = mutateUnits(out, random);
    else if (kind < 0.75) writeNumber(out, random);
    else out[below(random, out.length)] = below(random, 256);
    if (out.length === 0) return file.slice();
  }
  return out;
}

/** A unit is removed, repeated, moved, or gets its neighbour's contents. PNG chunks keep right checksums, so that they are read. */
function mutateUnits(file: Uint8Array, random: () => number): Uint8Array {
  const units = unitsOf(file);
  const at = below(random, units.length);
  const kind = below(random, 5);
  if (kind === 0) units.splice(at, 1);
  else if (kind === 1) units.splice(at, 0, ...new Array<Uint8Array>(1 + below(random, 20)).fill(units[at]!));
  else if (kind === 2) units.push(...units.splice(at, 1));
  else if (kind === 3) units[at] = units[below(random, units.length)]!;
  else units[at] = units[at]!.subarray(0, below(random, units[at]!.length + 1));
  return withChecksums(new Uint8Array(Buffer.concat(units)));
}

const TELLING = [
  0, 1, 2, 7, 8, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0xffff, 0x10000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff,
];

/** A number of one, two or four bytes that parsers take for a length, a count or an offset. */
function writeNumber(out: Uint8Array, random: () => number): void {
  const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
  const value = TELLING[below(random, TELLING.length)]!;
  const span = random() < 0.8 ? Math.min(out.length, 600) : out.length;
  const at = below(random, Math.max(1, span - 4));
  const littleEndian = random() < 0.5;
  if (at + 4 > out.length) return;
  const size = below(random, 3);
  if (size === 0) view.setUint8(at, value & 0xff);
  else if (size === 1) view.setUint16(at, value & 0xffff, littleEndian);
  else view.setUint32(at, value, littleEndian);
}

/** Pieces that make up the file: segments, chunks, boxes, entries of a directory. */
function unitsOf(file: Uint8Array): Uint8Array[] {
  const ends = unitEnds(file, formatOf(file));
  const cuts = [0, ...ends.filter((end) => end > 0 && end < file.length), file.length];
  return cuts.slice(1).map((end, i) => file.subarray(cuts[i], end));
}

function formatOf(file: Uint8Array): ImageFormat | undefined {
  const text = Buffer.from(file.subarray(0, 12)).toString('latin1');
  if (text.startsWith('\xff\xd8')) return 'jpeg';
  if (text.startsWith('\x89PNG')) return 'png';
  if (text.startsWith('RIFF')) return 'webp';
  if (text.slice(4, 8) === 'ftyp') return 'heic';
  return /^(II|MM)/.test(text) ? 'tiff' : undefined;
}

function unitEnds(file: Uint8Array, format: ImageFormat | undefined): number[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const walk = (start: number, next: (at: number) => number): number[] => {
    const ends = [start];
    for (let at = start; at + 8 <= file.length && ends.length < 300;) {
      const end = next(at);
      if (!(end > at) || end > file.length) break;
      ends.push(end);
      at = end;
    }
    return ends;
  };
  switch (format) {
    case 'jpeg':
      return walk(2, (at) => (file[at + 1] === 0xda ? 0 : at + 2 + view.getUint16(at + 2)));
    case 'png':
      return walk(8, (at) => at + 12 + view.getUint32(at));
    case 'webp':
      return walk(12, (at) => at + 8 + view.getUint32(at + 4, true) + (view.getUint32(at + 4, true) % 2));
    case 'heic': {
      const meta = Buffer.from(file).indexOf('meta', 0, 'latin1') + 8;
      return walk(meta, (at) => at + view.getUint32(at));
    }
    case 'tiff': {
      const first = view.getUint32(4, file[0] === 0x49);
      return walk(Math.min(file.length, first + 2), (at) => at + 12);
    }
    default:
      return walk(0, (at) => at + 16);
  }
}

function withChecksums(file: Uint8Array): Uint8Array {
  if (formatOf(file) !== 'png') return file;
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (let at = 8; at + 12 <= file.length;) {
    const end = at + 12 + view.getUint32(at);
    if (end > file.length) break;
    view.setUint32(end - 4, crc32(file.subarray(at + 4, end - 4)));
    at = end;
  }
  return file;
}
