import { crc32 } from 'node:zlib';
import { join, u32be, type Part } from './pictures.ts';

/** A PNG with one more chunk before the first one of type `before`; without `before` it replaces its namesake. */
export function withPngChunk(png: Uint8Array, type: string, data: Uint8Array, before?: string): Uint8Array {
  const body = join(type, data);
  const chunk = join(u32be(data.length), body, u32be(crc32(body)));
  const view = new DataView(png.buffer, png.byteOffset);
  let at = 8;
  for (;;) {
    const length = view.getUint32(at) + 12;
    const name = Buffer.from(png.subarray(at + 4, at + 8)).toString('latin1');
    if (name === before) return join(png.subarray(0, at), chunk, png.subarray(at));
    if (before === undefined && name === type) return join(png.subarray(0, at), chunk, png.subarray(at + length));
    at += length;
  }
}

export interface BmffOptions {
  readonly width?: number;
  readonly height?: number;
  readonly codec?: string;
  readonly primaryId?: number;
  /** Third byte of `av1C`: 0x40 high bit depth, 0x20 twelve bits, 0x10 monochrome. */
  readonly depthBits?: number;
  readonly alpha?: boolean;
  readonly auxiliary?: string;
  /** The item that the alpha belongs to, when not to the primary one. */
  readonly alphaOf?: number;
  readonly grid?: boolean;
  /** The AV1 data of every item. */
  readonly coded?: Uint8Array;
  /** Further properties of the primary item, in order: type and payload. */
  readonly transforms?: readonly (readonly [type: string, payload: readonly number[]])[];
}

const box = (type: string, ...payload: readonly Part[]): Uint8Array => {
  const body = join(type, ...payload);
  return join(u32be(body.length + 4), body);
};
const full = (type: string, ...payload: readonly Part[]): Uint8Array => box(type, u32be(0), ...payload);
const u16 = (value: number): readonly number[] => [value >> 8, value & 255];

/** An OBU with the reduced sequence header of a still picture, and as many empty frames (AV1 § 5.5.1). */
export function av1(width: number, height: number, frames = 1, colour?: readonly [number, number, number]): Uint8Array {
  const bits: string[] = [];
  const put = (value: number, count: number): void => void bits.push(value.toString(2).padStart(count, '0'));
  put(0, 3);
  put(3, 2);
  put(0, 5);
  put(15, 4);
  put(15, 4);
  put(Math.max(0, width - 1), 16);
  put(Math.max(0, height - 1), 16);
  put(0, 8);
  put(colour === undefined ? 0 : 1, 1);
  for (const value of colour ?? []) put(value, 8);
  const text = bits.join('').padEnd(Math.ceil(bits.join('').length / 8) * 8, '0');
  const payload = (text.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2));
  return join([0x0a, payload.length, ...payload], ...new Array<Part>(frames).fill([0x32, 0]));
}

/**
 * The structure of an AVIF without a picture in it: item 1 is primary, 2 its alpha, 3 a tile of a grid. Of AV1 data, there are sequence
 * headers only.
 */
export function bmff(options: BmffOptions = {}): Uint8Array {
  const {
    width = 37,
    height = 53,
    codec = 'av01',
    primaryId = 1,
    depthBits = 0,
    alpha = false,
    grid = false,
  } = options;
  const { alphaOf = 1, auxiliary = 'urn:mpeg:mpegB:cicp:systems:auxiliary:alpha', transforms = [] } = options;
  const item = (id: number, type: string): Uint8Array => box('infe', [2, 0, 0, 0], u16(id), u16(0), type, [0]);
  const items = [item(1, grid ? 'grid' : codec), item(2, 'av01'), item(3, 'av01')];
  const properties = [
    full('ispe', u32be(width), u32be(height)),
    box('av1C', [0x81, 0, depthBits, 0]),
    full('auxC', `${auxiliary}\0`),
    ...transforms.map(([type, payload]) => box(type, payload)),
  ];
  const own = [1, ...(grid ? [] : [2]), ...transforms.map((_, i) => i + 4)];
  const associations = [
    [1, own],
    [2, [1, 2, 3]],
    [3, [1, 2]],
  ] as const;
  const ipma = associations.flatMap(([id, indices]) => [...u16(id), indices.length, ...indices.map((n) => n | 0x80)]);
  const references = [
    ...(alpha ? [box('auxl', u16(2), u16(1), u16(alphaOf))] : []),
    ...(grid ? [box('dimg', u16(1), u16(1), u16(3))] : []),
  ];
  const { coded = av1(width, height) } = options;
  const data = [grid ? join([0, 1, 0, 0], u32be(width), u32be(height)) : coded, coded, coded];
  const locations = data.map(({ length }, i) => {
    const at = data.slice(0, i).reduce((sum, part) => sum + part.length, 0);
    return join(u16(i + 1), u16(1), u16(0), u16(1), u32be(at), u32be(length));
  });
  const meta = full(
    'meta',
    box('iloc', [1, 0, 0, 0], [0x44, 0], u16(3), ...locations),
    box('idat', ...data),
    full('pitm', u16(primaryId)),
    full('iinf', u16(items.length), ...items),
    ...(references.length > 0 ? [full('iref', ...references)] : []),
    box('iprp', box('ipco', ...properties), full('ipma', u32be(associations.length), ipma)),
  );
  return join(box('ftyp', 'avif', u32be(0), 'avifmif1'), meta, box('mdat', [1, 2, 3]));
}
