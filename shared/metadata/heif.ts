/** Metadata in AVIF and HEIC: items and properties of HEIF (ISO/IEC 23008-12 § 6.5.5, Annex A), and its `colr` box (ISO/IEC 14496-12 § 12.1.5). */
import { summarizeAv1 } from '../image-header/av1.ts';
import { codedItem, colourBoxes, openHeif, readNclx, type OpenHeif } from '../image-header/heif.ts';
import { boxes, childBox, itemBytes, readItemExtents, type Box, type Item } from '../image-header/bmff.ts';
import { ByteView } from '../image-header/byte-view.ts';
import { withoutExifPrefix } from '../image-header/exif.ts';
import { concat, latin1, u16be, u32be } from './bytes.ts';
import { colourOfCicp } from './colour.ts';
import type { Metadata, MetadataDraft } from './types.ts';

export function readHeifMetadata(bytes: Uint8Array, found: MetadataDraft): void {
  const view = new ByteView(bytes);
  const heif = openHeif(view);
  const { format, meta, table, primary } = heif;
  const extents = readItemExtents(view, meta);
  readColour(view, heif, found);
  const dataOf = (wanted: (item: Item) => boolean): Uint8Array | undefined => {
    const id = [...table.items].find(([, item]) => wanted(item))?.[0];
    return id === undefined ? undefined : itemBytes(view, extents.get(id));
  };
  const xmp = dataOf(({ xmp }) => xmp);
  if (xmp !== undefined) found.xmp = xmp;
  // The offset of the TIFF structure comes first.
  const exif = dataOf(({ type }) => type === 'Exif');
  if (exif !== undefined && exif.length > 4) {
    const skipped = new ByteView(exif).u32(0);
    found.exif = withoutExifPrefix(exif.subarray(4 + (skipped < exif.length ? skipped : 0)));
  }
  if (found.icc !== undefined || found.colour !== undefined || format !== 'avif' || primary.type !== 'av01') return;
  const { colour } = summarizeAv1(itemBytes(view, extents.get(table.primaryId)));
  const coded = colour === undefined || readNclx(view, primary) !== undefined ? undefined : colourOfCicp(colour);
  if (coded !== undefined) found.colour = coded;
}

/** A profile counts before CICP numbers (MIAF § 7.3.6.4). */
function readColour(view: ByteView, { format, table, primary }: OpenHeif, found: MetadataDraft): void {
  const items = [primary, codedItem(table, primary, format)];
  const profile = colourBoxes(items).find(({ at }) => view.has(at, 'prof') || view.has(at, 'rICC'));
  const nclx = readNclx(view, ...items);
  if (profile !== undefined) found.icc = view.slice(profile.at + 4, profile.end - profile.at - 4);
  const colour = profile === undefined && nclx !== undefined ? colourOfCicp(nclx) : undefined;
  if (colour !== undefined) found.colour = colour;
}

/**
 * Writes CICP numbers into an AVIF that has none: a `colr` property of the primary item. All that follows moves, and so do the
 * offsets in `iloc`.
 * @param file as libheif writes it: a `meta` box before the data, whose extents are counted from the beginning of the file
 */
export function writeAvifColour(file: Uint8Array, { colour }: Metadata): Uint8Array {
  if (colour?.kind !== 'cicp') return file;
  const view = new ByteView(file);
  const { meta, table, primary } = openHeif(view);
  if (readNclx(view, primary) !== undefined) return file;
  const bitstream = summarizeAv1(itemBytes(view, readItemExtents(view, meta).get(table.primaryId))).colour;
  const { primaries, transfer } = colour;
  // Matrix and range are those that the data was encoded with.
  const range = bitstream?.fullRange === false ? 0 : 0x80;
  const nclx = concat([
    latin1('nclx'),
    ...[primaries, transfer, bitstream?.matrix ?? 6].map(u16be),
    Uint8Array.of(range),
  ]);
  return new PropertyInsertion(view, meta).insert(box('colr', nclx), table.primaryId);
}

function box(type: string, payload: Uint8Array): Uint8Array {
  return concat([u32be(payload.length + 8), latin1(type), payload]);
}

interface Insertion {
  readonly at: number;
  readonly bytes: Uint8Array;
}

class PropertyInsertion {
  readonly #view: ByteView;
  readonly #meta: Box;

  constructor(view: ByteView, meta: Box) {
    this.#view = view;
    this.#meta = meta;
  }

  insert(property: Uint8Array, itemId: number): Uint8Array {
    const iprp = this.#child(this.#meta, 4, 'iprp');
    const ipco = this.#child(iprp, 0, 'ipco');
    const ipma = this.#child(iprp, 0, 'ipma');
    const index = [...boxes(this.#view, ipco.at, ipco.end)].length + 1;
    const association = this.#association(ipma, itemId, index);
    const insertions: Insertion[] = [{ at: ipco.end, bytes: property }, association];
    const out = this.#view.bytes.slice();
    const data = new DataView(out.buffer);
    data.setUint8(association.countAt, data.getUint8(association.countAt) + 1);
    const added = property.length + association.bytes.length;
    this.#grow(data, ipco, property.length);
    this.#grow(data, ipma, association.bytes.length);
    this.#grow(data, iprp, added);
    this.#grow(data, this.#meta, added);
    this.#moveExtents(data, added);
    return applied(out, insertions);
  }

  #child(parent: Box, skip: number, type: string): Box {
    const found = childBox(this.#view, parent, skip, type);
    if (found === undefined) throw new Error(`the AVIF has no ${type} box`);
    return found;
  }

  /** One more index behind those of the item, and where their number is written. */
  #association(ipma: Box, itemId: number, index: number): Insertion & { readonly countAt: number } {
    const view = this.#view;
    const idBytes = view.u8(ipma.at) === 0 ? 2 : 4;
    const indexBytes = (view.u8(ipma.at + 3) & 1) === 1 ? 2 : 1;
    let at = ipma.at + 8;
    for (let left = view.u32(ipma.at + 4); left > 0; left--) {
      const id = idBytes === 2 ? view.u16(at) : view.u32(at);
      const countAt = at + idBytes;
      at = countAt + 1 + view.u8(countAt) * indexBytes;
      const bytes = indexBytes === 2 ? u16be(index) : Uint8Array.of(index);
      if (id === itemId) return { at, bytes, countAt };
    }
    throw new Error('the primary item of the AVIF has no properties');
  }

  #grow(data: DataView, { at }: Box, bytes: number): void {
    data.setUint32(at - 8, data.getUint32(at - 8) + bytes);
  }

  /** Offsets and lengths of four bytes, as libheif writes them. */
  #moveExtents(data: DataView, bytes: number): void {
    const iloc = this.#child(this.#meta, 4, 'iloc');
    const view = this.#view;
    const version = view.u8(iloc.at);
    const sizes = view.u16(iloc.at + 4);
    const baseBytes = (sizes >> 4) & 15;
    if (version > 1 || (sizes & 0xff0f) !== 0x4400) throw new Error('the iloc box has another form');
    let at = iloc.at + 8;
    for (let items = view.u16(iloc.at + 6); items > 0; items--) {
      const inFile = version === 0 || (view.u16(at + 2) & 15) === 0;
      at += (version === 0 ? 4 : 6) + baseBytes;
      const extents = view.u16(at);
      at += 2;
      for (let i = 0; i < extents; i++, at += 8) if (inFile) data.setUint32(at, data.getUint32(at) + bytes);
    }
  }
}

/** @param insertions in order */
function applied(file: Uint8Array, insertions: readonly Insertion[]): Uint8Array {
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const { at: until, bytes } of [...insertions].sort((a, b) => a.at - b.at)) {
    parts.push(file.subarray(at, until), bytes);
    at = until;
  }
  return concat([...parts, file.subarray(at)]);
}
