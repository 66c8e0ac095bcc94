/** HEIF (ISO/IEC 23008-12) and MIAF: AVIF with AV1 (AV1 Image File Format 1.1), HEIC with HEVC. */
import { kindNotSupported, notAPicture, pictureAnimated, pictureTruncated } from '../protocol/errors.ts';
import type { Cicp } from './av1.ts';
import { HEIF_CODING, property, type HeifFormat } from './heif-coding.ts';
import { assertHeifCost } from './heif-cost.ts';
import {
  boxes,
  childBox,
  entryCounter,
  readItemTable,
  type Box,
  type Item,
  type ItemTable,
  type Properties,
} from './bmff.ts';
import { undecodable, type ByteView } from './byte-view.ts';
import { refuseHdr } from './hdr.ts';
import type { ImageHeader } from './types.ts';

const ALPHA_URNS = ['urn:mpeg:mpegB:cicp:systems:auxiliary:alpha', 'urn:mpeg:hevc:2015:auxid:1'];

/** Every file of the family, pictures or not. */
export function isBmff(view: ByteView): boolean {
  return view.has(4, 'ftyp');
}

/** @throws {DeblurError} `unsupported_media_type` for video and HDR; `image_undecodable`, `image_truncated` */
export function readHeifHeader(view: ByteView): ImageHeader {
  const { format, brands, meta, table, primary } = openHeif(view);
  const coded = codedItem(table, primary, format);
  const { width, height } = displayedSize(view, primary);
  const alphaId = alphaItem(view, table);
  const picture = { format, primaryId: table.primaryId, alphaId, ...statedSize(view, primary) };
  const inBitstream = view.complete ? assertHeifCost(view, meta, table, picture) : undefined;
  refuseHdr(readNclx(view, coded, primary) ?? inBitstream);
  return {
    format,
    width,
    height,
    ...samplesOf(view, format, alphaId !== undefined, coded, primary),
    cmyk: false,
    animated: brands.has('avis') || (brands.has('hevc') && !brands.has('heic')),
    // `irot` and `imir` are the whole truth about orientation (MIAF § 7.3.9), and decoders apply them.
    orientation: 1,
    ...(isPremultiplied(table, alphaId) ? { premultiplied: true } : {}),
  };
}

export interface OpenHeif {
  readonly format: HeifFormat;
  readonly brands: ReadonlySet<string>;
  readonly meta: Box;
  readonly table: ItemTable;
  readonly primary: Item;
}

/** @throws {DeblurError} as readHeifHeader */
export function openHeif(view: ByteView): OpenHeif {
  const brands = readBrands(view);
  const avif = brands.has('avif') || brands.has('avis');
  if (!avif && !HEIC_BRANDS.some((brand) => brands.has(brand))) {
    throw kindNotSupported('Videos (MP4, MOV)');
  }
  const format = avif ? 'avif' : 'heic';
  const meta = findMeta(view);
  // A pure sequence has no picture item at all.
  if (meta === undefined && ['avis', 'hevc', 'msf1'].some((brand) => brands.has(brand))) {
    throw pictureAnimated('file');
  }
  if (meta === undefined) throw pictureTruncated('file');
  const table = readItemTable(view, meta);
  const primary = table.items.get(table.primaryId);
  if (primary === undefined) throw undecodable('The file has no primary picture.');
  return { format, brands, meta, table, primary };
}

/** Brands of HEIC, of its sequences, and of HEIF whatever it holds: phones write them in any order. */
const HEIC_BRANDS = ['heic', 'heix', 'heim', 'heis', 'hevc', 'hevx', 'mif1', 'msf1'];

/** HEVC is decoded to RGB of 8 bits, whatever it has. */
function samplesOf(
  view: ByteView,
  format: HeifFormat,
  alpha: boolean,
  coded: Item,
  primary: Item,
): Pick<ImageHeader, 'channels' | 'bitDepth'> {
  if (format === 'heic') return { channels: alpha ? 4 : 3, bitDepth: 8 };
  const { monochrome, depth } = readSamples(view, coded.properties, primary.properties);
  return { channels: monochrome ? (alpha ? 2 : 1) : alpha ? 4 : 3, bitDepth: depth > 8 ? 16 : 8 };
}

/** `colr` of type nclx, of the picture or of its first tile; undefined without one. */
export function readNclx(view: ByteView, ...items: readonly Item[]): Cicp | undefined {
  for (const { at, end } of colourBoxes(items)) {
    if (end - at >= 11 && view.has(at, 'nclx')) return { primaries: view.u16(at + 4), transfer: view.u16(at + 6) };
  }
  return undefined;
}

export function colourBoxes(items: readonly Item[]): Box[] {
  return items.flatMap(({ properties }) => properties.filter(({ type }) => type === 'colr'));
}

/** The `prem` reference says that the picture's colours were multiplied with its alpha (ISO/IEC 23008-12 § 7.4). */
function isPremultiplied({ references, primaryId }: ItemTable, alphaId: number | undefined): boolean {
  return (
    alphaId !== undefined &&
    references.some(({ type, from, to }) => type === 'prem' && from === primaryId && to.includes(alphaId))
  );
}

function readBrands(view: ByteView): Set<string> {
  const size = view.u32(0);
  if (size < 16 || size > 4096) throw notAPicture();
  view.require(0, size);
  const brands = new Set([view.ascii(8, 4)]);
  for (let at = 16; at + 4 <= size; at += 4) brands.add(view.ascii(at, 4));
  return brands;
}

/** The `meta` box; in a whole file the picture data must be there too. What follows both is not looked at. */
function findMeta(view: ByteView): Box | undefined {
  let meta: Box | undefined;
  // An incomplete file ends somewhere beyond what we have; a complete one ends with its last byte.
  const end = view.complete ? view.length : Number.MAX_SAFE_INTEGER;
  let data = !view.complete;
  let at = 0;
  const count = entryCounter();
  while (at + 8 <= end && (meta === undefined || !data)) {
    count();
    const size32 = view.u32(at);
    const stated = size32 === 1 ? view.u32(at + 8) * 2 ** 32 + view.u32(at + 12) : size32;
    const size = size32 === 0 ? Math.max(8, view.length - at) : stated;
    if (size < 8) throw undecodable('A box of the file has an impossible length.');
    view.require(at, size);
    const [box] = boxes(view, at, at + size);
    if (box?.type === 'meta') meta ??= box;
    if (box?.type === 'mdat') data = true;
    at += size;
  }
  // Small data may lie in the meta box itself.
  if (meta !== undefined && !data && childBox(view, meta, 4, 'idat') === undefined) {
    throw pictureTruncated('file');
  }
  return meta;
}

/** The item with the codec's configuration: the primary one, or the first tile of its grid. */
export function codedItem(table: ItemTable, primary: Item, format: HeifFormat): Item {
  const { item, name } = HEIF_CODING[format];
  if (primary.type === item) return primary;
  const derived = table.references.find(({ type, from }) => type === 'dimg' && from === table.primaryId);
  const first = primary.type === 'grid' ? table.items.get(derived?.to[0] ?? -1) : undefined;
  if (first?.type !== item)
    throw undecodable(`The primary picture of the ${format.toUpperCase()} is not coded in ${name}.`);
  return first;
}

function statedSize(view: ByteView, { properties }: Item): { width: number; height: number } {
  const ispe = property(properties, 'ispe');
  if (ispe === undefined || ispe.end - ispe.at < 12) throw undecodable('The picture has no size.');
  return { width: view.u32(ispe.at + 4), height: view.u32(ispe.at + 8) };
}

/** The stated size, then what the transforms make of it, in their order. */
function displayedSize(view: ByteView, item: Item): { width: number; height: number } {
  const { properties } = item;
  let { width, height } = statedSize(view, item);
  for (const { type, at, end } of properties) {
    if (type === 'clap' && end - at >= 16) {
      width = Math.min(width, ratio(view, at));
      height = Math.min(height, ratio(view, at + 8));
    }
    if (type === 'irot' && end - at >= 1 && (view.u8(at) & 1) === 1) [width, height] = [height, width];
  }
  if (width === 0 || height === 0) throw undecodable('The picture has no size.');
  return { width, height };
}

/** A clean aperture's side: numerator and denominator, rounded as libheif does. */
function ratio(view: ByteView, at: number): number {
  const denominator = view.u32(at + 4);
  return denominator === 0 ? 0 : Math.round(view.u32(at) / denominator);
}

/** From `av1C` (AV1 in ISOBMFF § 2.3.3): what the bitstream has, whatever `pixi` claims. */
function readSamples(view: ByteView, ...candidates: readonly Properties[]): { monochrome: boolean; depth: number } {
  for (const properties of candidates) {
    const av1C = property(properties, 'av1C');
    if (av1C === undefined || av1C.end - av1C.at < 4) continue;
    const bits = view.u8(av1C.at + 2);
    const depth = (bits & 0x40) === 0 ? 8 : (bits & 0x20) === 0 ? 10 : 12;
    return { monochrome: (bits & 0x10) !== 0, depth };
  }
  throw undecodable('The AVIF has no AV1 configuration.');
}

/** The identifier of an auxiliary item of the alpha kind that belongs to the primary one. */
function alphaItem(view: ByteView, { references, items, primaryId }: ItemTable): number | undefined {
  return references.find(({ type, from, to }) => {
    if (type !== 'auxl' || !to.includes(primaryId)) return false;
    const auxC = property(items.get(from)?.properties ?? [], 'auxC');
    // The payload ends with the kind, zero-terminated; the version and flags come first.
    return auxC !== undefined && ALPHA_URNS.some((urn) => view.has(auxC.at + 4, `${urn}\0`));
  })?.from;
}
