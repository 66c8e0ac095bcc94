/** Metadata in PNG, third edition: iCCP § 11.3.2.3, iTXt § 11.3.3.4, eXIf § 11.3.4.7; XMP part 3 § 1.1.5. */
import { ByteView } from '../image-header/byte-view.ts';
import { withoutExifPrefix } from '../image-header/exif.ts';
import { CHUNK_OVERHEAD_BYTES, crc32, pngChunks, type PngChunk } from '../image-header/png.ts';
import { METADATA_BLOCK_MAX_BYTES } from '../limits.ts';
import { concat, latin1, u32be } from './bytes.ts';
import { colourOfCicp, colourOfGamma, type Colour } from './colour.ts';
import { iptcOfRawProfile, RAW_IPTC_KEYWORD, rawProfileOf } from './photoshop.ts';
import type { Density, Metadata, MetadataDraft } from './types.ts';
import { deflate, inflate } from './zlib.ts';

const XMP_KEYWORD = 'XML:com.adobe.xmp';
const COMMENT_KEYWORD = 'Comment';

const METRES_PER_INCH = 0.0254;

const TEXT_CHUNKS = new Set(['iTXt', 'zTXt', 'tEXt']);

/** Other statements about colour, which a profile replaces and must not contradict. */
const COLOUR_CHUNKS = new Set(['sRGB', 'gAMA', 'cHRM', 'cICP', 'iCCP']);

/** Inflated in vain of each kind, at most: a file may have as many compressed chunks as it likes. */
const MAX_TRIES = 2;

export async function readPngMetadata(bytes: Uint8Array, found: MetadataDraft): Promise<void> {
  const view = new ByteView(bytes);
  const colours = new ColourChunks();
  const tries = { icc: 0, xmp: 0, iptc: 0 };
  const wanted = (kind: keyof typeof tries): boolean => found[kind] === undefined && tries[kind]++ < MAX_TRIES;
  for (const { type, at, length } of pngChunks(view)) {
    if (length > METADATA_BLOCK_MAX_BYTES) continue;
    if (type === 'eXIf') found.exif ??= withoutExifPrefix(view.slice(at, length));
    const chunk = { type, at, length };
    if (hasKeyword(view, chunk, XMP_KEYWORD) && wanted('xmp')) await readPacket(view, chunk, found);
    if (hasKeyword(view, chunk, RAW_IPTC_KEYWORD) && wanted('iptc')) await readIptc(view, chunk, found);
    if (type === 'tEXt' && hasKeyword(view, chunk, COMMENT_KEYWORD)) {
      found.comment ??= view.slice(at + COMMENT_KEYWORD.length + 1, length - COMMENT_KEYWORD.length - 1);
    }
    if (type === 'pHYs' && length === 9) readDensity(view, at, found);
    if (type === 'iCCP' && wanted('icc')) await readProfile(view.slice(at, length), found);
    if (type !== 'iCCP' && COLOUR_CHUNKS.has(type)) colours.add(type, view.slice(at, length));
  }
  colours.decide(found);
}

/** § 4.3: of several statements about colour, cICP counts before iCCP, that before sRGB, and that before gAMA and cHRM. */
class ColourChunks {
  readonly #chunks = new Map<string, Uint8Array>();

  add(type: string, data: Uint8Array): void {
    if (!this.#chunks.has(type)) this.#chunks.set(type, data);
  }

  decide(found: MetadataDraft): void {
    const cicp = this.#chunks.get('cICP');
    if (cicp?.length === 4) {
      delete found.icc;
      setColour(found, colourOfCicp({ primaries: cicp[0]!, transfer: cicp[1]! }));
      return;
    }
    if (found.icc !== undefined || this.#chunks.has('sRGB')) return;
    const gamma = numbers(this.#chunks.get('gAMA'), 1)?.[0];
    setColour(found, colourOfGamma({ gamma, chromaticities: numbers(this.#chunks.get('cHRM'), 8) }));
  }
}

function setColour(found: MetadataDraft, colour: Colour | undefined): void {
  if (colour !== undefined) found.colour = colour;
}

/** So many numbers of four bytes; undefined when the chunk has another length. */
function numbers(data: Uint8Array | undefined, count: number): number[] | undefined {
  if (data?.length !== 4 * count) return undefined;
  const view = new DataView(data.buffer, data.byteOffset);
  return Array.from({ length: count }, (_, i) => view.getUint32(4 * i));
}

function colourChunks(colour: Colour): Uint8Array[] {
  if (colour.kind === 'cicp') return [pngChunk('cICP', Uint8Array.of(colour.primaries, colour.transfer, 0, 1))];
  const { gamma, chromaticities } = colour;
  return [
    ...(gamma === undefined ? [] : [pngChunk('gAMA', u32be(gamma))]),
    ...(chromaticities === undefined ? [] : [pngChunk('cHRM', ...chromaticities.map(u32be))]),
  ];
}

function hasKeyword(view: ByteView, { type, at, length }: PngChunk, keyword: string): boolean {
  return TEXT_CHUNKS.has(type) && length > keyword.length && view.has(at, `${keyword}\0`);
}

/** § 11.3.4.3: pixels per metre. */
function readDensity(view: ByteView, at: number, found: MetadataDraft): void {
  const [x, y] = [view.u32(at), view.u32(at + 4)].map((perMetre) => Math.round(perMetre * METRES_PER_INCH));
  if (view.u8(at + 8) !== 1 || !x || !y || (x === 72 && y === 72)) return;
  found.density ??= { x: Math.min(x, 0xffff), y: Math.min(y, 0xffff), unit: 'inch' };
}

function densityChunk({ x, y, unit }: Density): Uint8Array {
  const perMetre = (value: number): Uint8Array =>
    u32be(Math.round(unit === 'inch' ? value / METRES_PER_INCH : value * 100));
  return pngChunk('pHYs', perMetre(x), perMetre(y), Uint8Array.of(1));
}

/** Name, zero, method 0, zlib stream. */
async function readProfile(data: Uint8Array, found: MetadataDraft): Promise<void> {
  const end = data.indexOf(0);
  if (end < 1 || data[end + 1] !== 0) return;
  const icc = await inflate(data.subarray(end + 2), METADATA_BLOCK_MAX_BYTES);
  if (icc !== undefined) found.icc = icc;
}

/** The packet in a text chunk of any kind: the specification has iTXt, libvips writes zTXt. */
async function readPacket(view: ByteView, chunk: PngChunk, found: MetadataDraft): Promise<void> {
  const xmp = await textOf(view, chunk, XMP_KEYWORD);
  if (xmp !== undefined && xmp.length > 0) found.xmp = xmp;
}

async function readIptc(view: ByteView, chunk: PngChunk, found: MetadataDraft): Promise<void> {
  const text = await textOf(view, chunk, RAW_IPTC_KEYWORD);
  const iptc = text === undefined ? undefined : iptcOfRawProfile(text);
  if (iptc !== undefined) found.iptc = iptc;
}

async function textOf(
  view: ByteView,
  { type, at, length }: PngChunk,
  keyword: string,
): Promise<Uint8Array | undefined> {
  const { compressed, text } = packetOf(type, view.slice(at + keyword.length + 1, length - keyword.length - 1));
  return compressed ? inflate(text, METADATA_BLOCK_MAX_BYTES) : text;
}

/** @param rest what follows the keyword and its zero */
function packetOf(type: string, rest: Uint8Array): { compressed: boolean; text: Uint8Array } {
  if (type === 'tEXt') return { compressed: false, text: rest };
  // One byte of method.
  if (type === 'zTXt') return { compressed: true, text: rest.subarray(1) };
  // Compressed?, method, language, zero, translated keyword, zero, text.
  const language = rest.indexOf(0, 2);
  const translated = language < 0 ? -1 : rest.indexOf(0, language + 1);
  return { compressed: rest[0] === 1, text: translated < 0 ? new Uint8Array() : rest.subarray(translated + 1) };
}

export async function writePngMetadata(file: Uint8Array, metadata: Metadata): Promise<Uint8Array> {
  const { icc, colour, density } = metadata;
  const added = await addedChunks(metadata);
  const parts: Uint8Array[] = [];
  for (const { type, at, length } of pngChunks(new ByteView(file))) {
    const raw = file.subarray(at - 8, at - 8 + length + CHUNK_OVERHEAD_BYTES);
    if ((icc !== undefined || colour !== undefined) && COLOUR_CHUNKS.has(type)) continue;
    if (density !== undefined && type === 'pHYs') continue;
    if (type !== 'IHDR') {
      parts.push(raw);
      continue;
    }
    // Directly after IHDR satisfies every rule of order: colours go before PLTE, all before IDAT.
    parts.push(file.subarray(0, at - 8), raw, ...added);
  }
  return concat(parts);
}

async function addedChunks({ exif, icc, xmp, iptc, comment, colour, density }: Metadata): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = colour === undefined ? [] : colourChunks(colour);
  if (icc !== undefined) chunks.push(pngChunk('iCCP', latin1('ICC profile\0\0'), await deflate(icc)));
  if (density !== undefined) chunks.push(densityChunk(density));
  if (exif !== undefined) chunks.push(pngChunk('eXIf', exif));
  if (xmp !== undefined) chunks.push(pngChunk('iTXt', latin1(`${XMP_KEYWORD}\0\0\0\0\0`), xmp));
  if (iptc !== undefined) {
    chunks.push(pngChunk('zTXt', latin1(`${RAW_IPTC_KEYWORD}\0\0`), await deflate(rawProfileOf(iptc))));
  }
  // A tEXt chunk ends with its text, which has no zero.
  if (comment !== undefined) chunks.push(pngChunk('tEXt', latin1(`${COMMENT_KEYWORD}\0`), withoutZeros(comment)));
  return chunks;
}

function withoutZeros(text: Uint8Array): Uint8Array {
  return text.filter((byte) => byte !== 0);
}

/** Length, type, data, and the CRC of the latter two (§ 5.3). */
export function pngChunk(type: string, ...data: readonly Uint8Array[]): Uint8Array {
  const body = concat([latin1(type), ...data]);
  return concat([u32be(body.length - 4), body, u32be(crc32(body))]);
}
