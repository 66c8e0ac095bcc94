/** Small files that ask for enormous work, made from the suite's own files: they run in every runtime that the suite runs in. */
import { crc32 } from '@deblur/shared/image-header/png.ts';
import { concat, latin1, u32be } from '@deblur/shared/metadata/bytes.ts';
import { fidelityFile } from './fidelity-files.ts';

/**
 * A grey progressive JPEG of 1024×1024 pixels: one scan with the averages, then `scans` scans of two bytes each that say that no block
 * has anything more (ITU-T T.81 § G.1.2.2). Each costs a pass over the picture.
 */
export function jpegOfScans(scans: number): Uint8Array {
  const segment = (marker: number, ...payload: readonly number[]): Uint8Array =>
    Uint8Array.of(0xff, marker, (payload.length + 2) >> 8, (payload.length + 2) & 255, ...payload);
  const quantization = segment(0xdb, 0, ...new Array<number>(64).fill(1));
  const frame = segment(0xc2, 8, 4, 0, 4, 0, 1, 1, 0x11, 0);
  /** One code of one bit. */
  const huffman = (id: number, symbol: number): Uint8Array =>
    segment(0xc4, id, 1, ...new Array<number>(15).fill(0), symbol);
  const scan = (first: number, last: number): Uint8Array => segment(0xda, 1, 1, 0, first, last, 0);
  // 0xe0: a run of 2¹⁴ blocks, which is all of them, and 14 more bits.
  const empty = concat([scan(1, 63), Uint8Array.of(0, 1)]);
  return concat([
    Uint8Array.of(0xff, 0xd8),
    quantization,
    frame,
    huffman(0x00, 0),
    scan(0, 0),
    new Uint8Array(2048),
    huffman(0x10, 0xe0),
    ...new Array<Uint8Array>(scans).fill(empty),
    Uint8Array.of(0xff, 0xd9),
  ]);
}

/** A grey PNG of 8×8 pixels whose data inflates to `bytes` zeros. */
export function pngThatInflatesTo(bytes: number): Uint8Array {
  const header = concat([u32be(8), u32be(8), Uint8Array.of(8, 0, 0, 0, 0)]);
  return png([chunk('IHDR', header), chunk('IDAT', zeros(bytes))]);
}

/** A PNG of one pixel with an ICC profile that inflates to `bytes` zeros. */
export function pngWithProfileOf(bytes: number): Uint8Array {
  const header = concat([u32be(1), u32be(1), Uint8Array.of(8, 0, 0, 0, 0)]);
  const profile = concat([latin1('bomb\0\0'), zeros(bytes)]);
  return png([chunk('IHDR', header), chunk('iCCP', profile), chunk('IDAT', TWO_ZEROS)]);
}

/** A small PNG that claims `side`² pixels, with a right checksum. */
export function pngThatClaims(side: number): Uint8Array {
  const bomb = fidelityFile('size-1x1.png').slice();
  const view = new DataView(bomb.buffer);
  view.setUint32(16, side);
  view.setUint32(20, side);
  view.setUint32(29, crc32(bomb.subarray(12, 29)));
  return bomb;
}

/** A TIFF of 1×1 pixel in one tile of `side`² pixels. */
export function tiffWithTileOf(side: number): Uint8Array {
  const tags = [
    [256, 1],
    [257, 1],
    [258, 8],
    [259, 1],
    [262, 1],
    [277, 1],
    [322, side],
    [323, side],
    [324, 8],
    [325, 1],
  ] as const;
  const le = (value: number, bytes: number): number[] =>
    Array.from({ length: bytes }, (_, i) => (value >> (8 * i)) & 255);
  const entries = tags.flatMap(([tag, value]) => [...le(tag, 2), ...le(4, 2), ...le(1, 4), ...le(value, 4)]);
  return Uint8Array.from([0x49, 0x49, 42, 0, ...le(8, 4), ...le(tags.length, 2), ...entries, ...le(0, 4)]);
}

/** A whole zlib stream: one stored block of two zeros, and their Adler-32. */
const TWO_ZEROS = Uint8Array.of(0x78, 0x01, 1, 2, 0, 0xfd, 0xff, 0, 0, 0, 2, 0, 1);

const CHUNK_SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

function png(chunks: readonly Uint8Array[]): Uint8Array {
  return concat([CHUNK_SIGNATURE, ...chunks, chunk('IEND', new Uint8Array())]);
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const body = concat([latin1(type), data]);
  return concat([u32be(data.length), body, u32be(crc32(body))]);
}

/**
 * A zlib stream of `bytes` zeros or some more: one block of fixed Huffman codes (RFC 1951 § 3.2.6) with a literal and matches of 258
 * bytes at distance 1, of 13 bits each. Made without compressing anything.
 */
function zeros(bytes: number): Uint8Array {
  const start = '110' + '00110000';
  const match = '11000101' + '00000';
  // Eight matches are thirteen bytes: the pattern begins again at the same bit.
  const head = bytesOf(start + match.repeat(16));
  const pattern = head.subarray(2, 15);
  const out = new Uint8Array(2 + 2 + Math.ceil(bytes / 2064) * 13 + 16);
  out.set([0x78, 0x9c]);
  out.set(head.subarray(0, 2), 2);
  const until = out.length - 16;
  for (let at = 4; at < until; at += 13) out.set(pattern, at);
  return out;
}

/** Bits in the order in which deflate packs them: the lowest of each byte first. */
function bytesOf(bits: string): Uint8Array {
  const bytes = bits.match(/.{1,8}/g) ?? [];
  return Uint8Array.from(bytes, (byte) => Number.parseInt([...byte].reverse().join('').padStart(8, '0'), 2));
}
