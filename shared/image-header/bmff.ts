/** ISO base media file format boxes (ISO/IEC 14496-12 § 4.2), and the item properties of a HEIF (ISO/IEC 23008-12 § 9.3). */
import { undecodable, type ByteView } from './byte-view.ts';

export interface Box {
  readonly type: string;
  /** The payload, after size and type. */
  readonly at: number;
  readonly end: number;
}

/** A property of an item, in the order in which transforms apply. */
export type Properties = readonly Box[];

export interface Item {
  /** `av01`, `grid`, `Exif`, `mime` … */
  readonly type: string;
  /** Whether it is an XMP packet: a `mime` item of type application/rdf+xml. */
  readonly xmp: boolean;
  readonly properties: Properties;
}

/** What the `meta` box says of the items in a file. */
export interface ItemTable {
  readonly primaryId: number;
  readonly items: ReadonlyMap<number, Item>;
  readonly references: readonly Reference[];
}

export interface Reference {
  readonly type: string;
  readonly from: number;
  readonly to: readonly number[];
}

/**
 * Of each kind: boxes side by side, associations of properties, references. Eight bytes of a file make an object of many
 * more here. A grid of 50 MP in tiles of 512×512, with alpha, has 400 items of up to six properties each.
 */
const MAX_ENTRIES = 10_000;

/** Counts what a file lists. @throws {DeblurError} `image_undecodable` above MAX_ENTRIES */
export function entryCounter(): () => void {
  let count = 0;
  return () => {
    if (++count > MAX_ENTRIES) throw undecodable('The file has too many boxes.');
  };
}

/**
 * Boxes between two offsets. The last one may say that it reaches to the end.
 * @throws {DeblurError} `image_undecodable` for an impossible length, and above MAX_ENTRIES
 */
export function* boxes(view: ByteView, start: number, end: number): Generator<Box, void> {
  const count = entryCounter();
  let at = start;
  while (at + 8 <= end) {
    count();
    const size32 = view.u32(at);
    const type = view.ascii(at + 4, 4);
    const header = size32 === 1 ? 16 : 8;
    const stated = size32 === 1 ? view.u32(at + 8) * 2 ** 32 + view.u32(at + 12) : size32;
    const size = size32 === 0 ? end - at : stated;
    if (size < header || at + size > end) throw undecodable('A box of the file has an impossible length.');
    yield { type, at: at + header, end: at + size };
    at += size;
  }
}

/** The first box of a type inside another; a full box has 4 bytes of version and flags to skip. */
export function childBox(view: ByteView, parent: Box, skip: number, type: string): Box | undefined {
  for (const box of boxes(view, parent.at + skip, parent.end)) if (box.type === type) return box;
  return undefined;
}

/** Bytes of the file. */
export interface Extent {
  readonly at: number;
  readonly length: number;
}

/** Reads inside one box: what lies beyond its end is a broken file, not a truncated one. */
class Cursor {
  at: number;
  readonly #end: number;
  readonly #view: ByteView;

  constructor(view: ByteView, box: Box) {
    this.#view = view;
    this.at = box.at;
    this.#end = box.end;
  }

  get done(): boolean {
    return this.at >= this.#end;
  }

  read(bytes: 1 | 2 | 4): number {
    const { at } = this;
    this.at += bytes;
    if (this.at > this.#end) throw undecodable('A box of the file is shorter than its contents.');
    return bytes === 1 ? this.#view.u8(at) : bytes === 2 ? this.#view.u16(at) : this.#view.u32(at);
  }

  /** A number of 0, 4 or 8 bytes, as `iloc` has them. */
  readSized(bytes: number): number {
    if (bytes === 0) return 0;
    const high = bytes === 8 ? this.read(4) : 0;
    return high * 2 ** 32 + this.read(4);
  }

  /** Version and flags of a full box. */
  versionAndFlags(): { version: number; flags: number } {
    const word = this.read(4);
    return { version: word >>> 24, flags: word & 0xffffff };
  }
}

/** @param meta the `meta` box, wholly within the bytes */
export function readItemTable(view: ByteView, meta: Box): ItemTable {
  const part = (type: string): Box => {
    const box = childBox(view, meta, 4, type);
    if (box === undefined) throw undecodable(`The file has no ${type} box.`);
    return box;
  };
  const types = readItemTypes(view, part('iinf'));
  const associations = readProperties(view, part('iprp'));
  const items = new Map<number, Item>();
  for (const [id, type] of types) items.set(id, { ...type, properties: associations.get(id) ?? [] });
  const iref = childBox(view, meta, 4, 'iref');
  const pitm = new Cursor(view, part('pitm'));
  const primaryId = pitm.read(pitm.versionAndFlags().version === 0 ? 2 : 4);
  return { primaryId, items, references: iref === undefined ? [] : readReferences(view, iref) };
}

function readItemTypes(view: ByteView, iinf: Box): Map<number, Omit<Item, 'properties'>> {
  const types = new Map<number, Omit<Item, 'properties'>>();
  const countBytes = view.u8(iinf.at) === 0 ? 2 : 4;
  for (const box of boxes(view, iinf.at + 4 + countBytes, iinf.end)) {
    if (box.type !== 'infe') continue;
    const cursor = new Cursor(view, box);
    const { version } = cursor.versionAndFlags();
    if (version < 2) continue;
    const id = cursor.read(version === 2 ? 2 : 4);
    cursor.read(2);
    const type = view.ascii(cursor.at, 4);
    // A name and the type follow, each with a zero behind it.
    const rest = type === 'mime' ? view.ascii(cursor.at + 4, Math.max(0, box.end - cursor.at - 4)) : '';
    types.set(id, { type, xmp: rest.split('\0')[1] === 'application/rdf+xml' });
  }
  return types;
}

/** `iprp`: the list of properties (`ipco`), and which items have which (`ipma`). */
function readProperties(view: ByteView, iprp: Box): Map<number, Properties> {
  const result = new Map<number, Properties>();
  const ipco = childBox(view, iprp, 0, 'ipco');
  if (ipco === undefined) throw undecodable('The file has no ipco box.');
  const all = [...boxes(view, ipco.at, ipco.end)];
  const count = entryCounter();
  for (const ipma of boxes(view, iprp.at, iprp.end)) {
    if (ipma.type !== 'ipma') continue;
    const cursor = new Cursor(view, ipma);
    const { version, flags } = cursor.versionAndFlags();
    const wide = (flags & 1) !== 0;
    for (let entries = cursor.read(4); entries > 0; entries--) {
      count();
      const id = cursor.read(version === 0 ? 2 : 4);
      const properties: Box[] = [];
      for (let indices = cursor.read(1); indices > 0; indices--) {
        count();
        // The top bit says `essential`; index 0 is no property.
        const index = wide ? cursor.read(2) & 0x7fff : cursor.read(1) & 0x7f;
        const property = all[index - 1];
        if (property !== undefined) properties.push(property);
      }
      result.set(id, properties);
    }
  }
  return result;
}

function readReferences(view: ByteView, iref: Box): Reference[] {
  const idBytes = view.u8(iref.at) === 0 ? 2 : 4;
  const references: Reference[] = [];
  const count = entryCounter();
  for (const box of boxes(view, iref.at + 4, iref.end)) {
    const cursor = new Cursor(view, box);
    const from = cursor.read(idBytes);
    const to: number[] = [];
    for (let ids = cursor.read(2); ids > 0 && !cursor.done; ids--) {
      count();
      to.push(cursor.read(idBytes));
    }
    references.push({ type: box.type, from, to });
  }
  return references;
}

/**
 * `iloc` (ISO/IEC 14496-12 § 8.11.3): where the bytes of each item lie, in the file or in `idat`. Items of other construction are
 * left out. A length of 0 reaches to the end of the file, or of `idat`.
 * @param meta the `meta` box of a whole file
 */
export function readItemExtents(view: ByteView, meta: Box): ReadonlyMap<number, readonly Extent[]> {
  const iloc = childBox(view, meta, 4, 'iloc');
  const found = new Map<number, readonly Extent[]>();
  if (iloc === undefined) return found;
  const cursor = new Cursor(view, iloc);
  const { version } = cursor.versionAndFlags();
  const sizes = cursor.read(2);
  const sizeAt = (shift: number): number => (sizes >> shift) & 15;
  const [offsetBytes, lengthBytes, baseBytes, indexBytes] = [sizeAt(12), sizeAt(8), sizeAt(4), sizeAt(0)];
  const idat = childBox(view, meta, 4, 'idat');
  const count = entryCounter();
  for (let items = cursor.read(version < 2 ? 2 : 4); items > 0; items--) {
    count();
    const id = cursor.read(version < 2 ? 2 : 4);
    const construction = version === 0 ? 0 : cursor.read(2) & 15;
    cursor.read(2);
    const base = cursor.readSized(baseBytes);
    const from = construction === 1 ? idat?.at : 0;
    const until = construction === 1 ? idat?.end : view.length;
    const extents: Extent[] = [];
    for (let left = cursor.read(2); left > 0; left--) {
      count();
      if (version > 0) cursor.readSized(indexBytes);
      const at = base + cursor.readSized(offsetBytes) + (from ?? 0);
      const length = cursor.readSized(lengthBytes);
      extents.push({ at, length: length === 0 ? Math.max(0, (until ?? 0) - at) : length });
    }
    if (construction <= 1 && from !== undefined) found.set(id, extents);
  }
  return found;
}

/**
 * The bytes of one item. @throws {DeblurError} `image_truncated` when they lie beyond the end of the file; `image_undecodable` when
 * its extents name more bytes than the file has, or none
 */
export function itemBytes(view: ByteView, extents: readonly Extent[] | undefined): Uint8Array {
  const total = (extents ?? []).reduce((sum, { length }) => sum + length, 0);
  if (extents === undefined || total === 0) throw undecodable('An item of the file has no data.');
  if (total > view.length && extents.length > 1) throw undecodable('An item of the file names its data too often.');
  if (extents.length === 1) return view.slice(extents[0]!.at, extents[0]!.length);
  const out = new Uint8Array(total);
  let at = 0;
  for (const extent of extents) {
    out.set(view.slice(extent.at, extent.length), at);
    at += extent.length;
  }
  return out;
}
