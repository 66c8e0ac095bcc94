/** AVIF: AV1 Image File Format 1.1 over HEIF (ISO/IEC 23008-12) and MIAF. */
import { DeblurError } from '../protocol/errors.ts';
import { assertAvifCost } from './avif-cost.ts';
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
import type { ImageHeader } from './types.ts';

const ALPHA_URNS = ['urn:mpeg:mpegB:cicp:systems:auxiliary:alpha', 'urn:mpeg:hevc:2015:auxid:1'];

/** Every file of the family, AVIF or not. */
export function isBmff(view: ByteView): boolean {
  return view.has(4, 'ftyp');
}

/** @throws {DeblurError} `unsupported_media_type` for HEIC and video; `image_undecodable`, `image_truncated` */
export function readAvifHeader(view: ByteView): ImageHeader {
  const brands = readBrands(view);
  if (!brands.has('avif') && !brands.has('avis')) {
    throw new DeblurError('unsupported_media_type', 'Of the HEIF family only AVIF is supported.');
  }
  const meta = findMeta(view);
  // A pure sequence has no picture item at all.
  if (meta === undefined && brands.has('avis')) throw new DeblurError('image_animated', 'The AVIF is a sequence.');
  if (meta === undefined) throw new DeblurError('image_truncated', 'The AVIF ends before its meta box.');
  const table = readItemTable(view, meta);
  const primary = table.items.get(table.primaryId);
  if (primary === undefined) throw undecodable('The AVIF has no primary picture.');
  const coded = codedItem(table, primary);
  const { width, height } = displayedSize(view, primary);
  const { monochrome, depth } = readSamples(view, coded.properties, primary.properties);
  const alphaId = alphaItem(view, table);
  const alpha = alphaId !== undefined;
  if (view.complete)
    assertAvifCost(view, meta, table, { primaryId: table.primaryId, alphaId, ...statedSize(view, primary) });
  return {
    format: 'avif',
    width,
    height,
    channels: monochrome ? (alpha ? 2 : 1) : alpha ? 4 : 3,
    bitDepth: depth > 8 ? 16 : 8,
    cmyk: false,
    animated: brands.has('avis'),
    // `irot` and `imir` are the whole truth about orientation (MIAF § 7.3.9), and decoders apply them.
    orientation: 1,
  };
}

function readBrands(view: ByteView): Set<string> {
  const size = view.u32(0);
  if (size < 16 || size > 4096) throw new DeblurError('unsupported_media_type', 'The file is not a supported picture.');
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
    throw new DeblurError('image_truncated', 'The AVIF ends before its picture data.');
  }
  return meta;
}

function property(properties: Properties, type: string): Box | undefined {
  return properties.find((box) => box.type === type);
}

/** The item with the AV1 configuration: the primary one, or the first tile of its grid. */
function codedItem(table: ItemTable, primary: Item): Item {
  if (primary.type === 'av01') return primary;
  const derived = table.references.find(({ type, from }) => type === 'dimg' && from === table.primaryId);
  const first = primary.type === 'grid' ? table.items.get(derived?.to[0] ?? -1) : undefined;
  if (first?.type !== 'av01') throw undecodable('The primary picture of the AVIF is not coded in AV1.');
  return first;
}

function statedSize(view: ByteView, { properties }: Item): { width: number; height: number } {
  const ispe = property(properties, 'ispe');
  if (ispe === undefined || ispe.end - ispe.at < 12) throw undecodable('The AVIF has no size.');
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
  if (width === 0 || height === 0) throw undecodable('The AVIF has no size.');
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
