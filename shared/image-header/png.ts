/** PNG, third edition (W3C): chunks § 5, IHDR § 11.2.1, acTL § 11.3.6.2, eXIf § 11.3.4.7. */
import { kindNotSupportedBut } from '../protocol/errors.ts';
import type { Channels } from '../pixels/raw-image.ts';
import { undecodable, type ByteView } from './byte-view.ts';
import { exifOrientation } from './exif.ts';
import { refuseHdr } from './hdr.ts';
import type { ImageHeader } from './types.ts';

const SIGNATURE = '\x89PNG\r\n\x1a\n';
const MAX_CHUNK_BYTES = 2 ** 31 - 1;

/** 100 MB in the smallest pieces that encoders write, 512 bytes; a hostile file could have forty times as many. */
const MAX_CHUNKS = 200_000;

/** Length and type before the data of a chunk, CRC after it. */
export const CHUNK_OVERHEAD_BYTES = 12;

const COLOUR = { grey: 0, rgb: 2, palette: 3, greyAlpha: 4, rgbAlpha: 6 } as const;

const BIT_DEPTHS: Readonly<Record<number, readonly number[]>> = {
  [COLOUR.grey]: [1, 2, 4, 8, 16],
  [COLOUR.rgb]: [8, 16],
  [COLOUR.palette]: [1, 2, 4, 8],
  [COLOUR.greyAlpha]: [8, 16],
  [COLOUR.rgbAlpha]: [8, 16],
};

export interface PngChunk {
  readonly type: string;
  /** The data, after length and type. */
  readonly at: number;
  readonly length: number;
}

export function isPng(view: ByteView): boolean {
  return view.has(0, SIGNATURE);
}

/** Chunks up to and including IEND. A whole file may also end behind any of its data chunks: whether all rows came, the decoder tells. */
export function* pngChunks(view: ByteView): Generator<PngChunk, void> {
  let at = SIGNATURE.length;
  let dataSeen = false;
  for (let count = 0; count < MAX_CHUNKS; count++) {
    if (dataSeen && view.complete && at === view.length) return;
    const length = view.u32(at);
    const type = view.ascii(at + 4, 4);
    if (length > MAX_CHUNK_BYTES || !/^[A-Za-z]{4}$/.test(type)) throw undecodable('The PNG has a broken chunk.');
    yield { type, at: at + 8, length };
    view.require(at, length + CHUNK_OVERHEAD_BYTES);
    if (type === 'IEND') return;
    dataSeen ||= type === 'IDAT';
    at += length + CHUNK_OVERHEAD_BYTES;
  }
  throw undecodable('The PNG has too many chunks.');
}

interface Ihdr {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly colour: number;
}

function readIhdr(view: ByteView): Ihdr {
  const at = SIGNATURE.length + 8;
  if (view.ascii(at - 4, 4) === 'CgBI') {
    throw kindNotSupportedBut('PNG files in Apple’s CgBI variant', 'Export the picture as a standard PNG.');
  }
  if (view.u32(at - 8) !== 13 || view.ascii(at - 4, 4) !== 'IHDR') throw undecodable('The PNG has no header chunk.');
  const width = view.u32(at);
  const height = view.u32(at + 4);
  const depth = view.u8(at + 8);
  const colour = view.u8(at + 9);
  const methodsKnown = view.u8(at + 10) === 0 && view.u8(at + 11) === 0 && view.u8(at + 12) <= 1;
  const sizeValid = width > 0 && height > 0 && width <= MAX_CHUNK_BYTES && height <= MAX_CHUNK_BYTES;
  const crcValid = view.u32(at + 13) === crc32(view.slice(at - 4, 17));
  if (!sizeValid || !methodsKnown || !crcValid || BIT_DEPTHS[colour]?.includes(depth) !== true) {
    throw undecodable('The PNG header is invalid.');
  }
  return { width, height, depth, colour };
}

export function readPngHeader(view: ByteView): ImageHeader {
  const { width, height, depth, colour } = readIhdr(view);
  let animated = false;
  let transparent = false;
  let orientation: number | undefined;
  let dataSeen = false;
  for (const { type, at, length } of pngChunks(view)) {
    if (type === 'IDAT') dataSeen = true;
    // Only orientation may still follow the pixels; the rest of an incomplete file is not asked for.
    if (dataSeen && !view.complete) break;
    if (type === 'eXIf') orientation ??= exifOrientation(view.slice(at, length));
    if (dataSeen) continue;
    // One frame is a still picture whatever it calls itself.
    if (type === 'acTL' && length === 8) animated = view.u32(at) > 1;
    if (type === 'cICP' && length === 4) refuseUnreadableCicp(view, at);
    if (type === 'tRNS') transparent ||= isValidTransparency(colour, length);
  }
  if (!dataSeen) throw undecodable('The PNG has no picture data.');
  const bitDepth = depth === 16 ? 16 : 8;
  const channels = channelsOf(colour, transparent);
  return { format: 'png', width, height, channels, bitDepth, cmyk: false, animated, orientation: orientation ?? 1 };
}

/** § 11.3.2.6: primaries, transfer, matrix, range. */
function refuseUnreadableCicp(view: ByteView, at: number): void {
  refuseHdr({ primaries: view.u8(at), transfer: view.u8(at + 1) });
  if (view.u8(at + 3) === 1) return;
  throw kindNotSupportedBut('PNG pictures with narrow-range samples', 'Convert the picture to full range.');
}

/** Decoders ignore a tRNS of the wrong length, and one beside an alpha channel. */
function isValidTransparency(colour: number, length: number): boolean {
  if (colour === COLOUR.grey) return length === 2;
  if (colour === COLOUR.rgb) return length === 6;
  return colour === COLOUR.palette && length >= 1 && length <= 256;
}

function channelsOf(colour: number, transparent: boolean): Channels {
  if (colour === COLOUR.grey) return transparent ? 2 : 1;
  if (colour === COLOUR.greyAlpha) return 2;
  return colour === COLOUR.rgbAlpha || transparent ? 4 : 3;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  return c;
});

/** CRC-32 of ISO 3309, over type and data of a chunk. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ byte) & 0xff]!;
  return (crc ^ 0xffffffff) >>> 0;
}
