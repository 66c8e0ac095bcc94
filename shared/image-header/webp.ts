/** WebP: RFC 9649 (container § 2, lossless header § 3), VP8 frame header RFC 6386 § 9.1. */
import { undecodable, type ByteView } from './byte-view.ts';
import { exifOrientation } from './exif.ts';
import type { ImageHeader } from './types.ts';

/** Bits of the VP8X flags byte. */
export const VP8X = { animation: 0x02, xmp: 0x04, exif: 0x08, alpha: 0x10, icc: 0x20 } as const;

const RIFF_HEADER_BYTES = 12;

/** A still picture has six kinds of chunks, once each; unknown ones are allowed. */
const MAX_CHUNKS = 1_000;

export interface RiffChunk {
  readonly type: string;
  readonly at: number;
  readonly length: number;
}

export function isWebp(view: ByteView): boolean {
  return view.has(0, 'RIFF') && view.has(8, 'WEBP');
}

/** Chunks within the size that the RIFF header states; bytes after it are not the picture's. */
export function* webpChunks(view: ByteView): Generator<RiffChunk, void> {
  const end = 8 + view.u32(4, true);
  if (view.complete) view.require(0, end);
  yield* chunksBetween(view, RIFF_HEADER_BYTES, end);
}

/** ANMF (§ 2.7.1.3): offset, size, duration and flags of a frame, then its chunks. */
const ANMF_HEADER_BYTES = 16;

/** Chunks of the frame in an ANMF chunk. */
export function frameChunks(view: ByteView, { at, length }: RiffChunk): Generator<RiffChunk, void> {
  return chunksBetween(view, at + ANMF_HEADER_BYTES, at + length);
}

function* chunksBetween(view: ByteView, start: number, end: number): Generator<RiffChunk, void> {
  let at = start;
  for (let count = 0; at + 8 <= end; count++) {
    if (count >= MAX_CHUNKS) throw undecodable('The WebP has too many chunks.');
    const type = view.ascii(at, 4);
    const length = view.u32(at + 4, true);
    if (at + 8 + length > end) throw undecodable('A WebP chunk is longer than its file.');
    yield { type, at: at + 8, length };
    at += 8 + length + (length % 2);
  }
}

/** What one VP8 or VP8L bitstream says. */
export interface WebpFrame {
  readonly width: number;
  readonly height: number;
  readonly lossless: boolean;
  /** Only a lossless bitstream says it. */
  readonly alpha: boolean;
}

export function isFrameChunk(chunk: RiffChunk): boolean {
  return chunk.type === 'VP8 ' || chunk.type === 'VP8L';
}

export function readWebpFrame(view: ByteView, { type, at, length }: RiffChunk): WebpFrame {
  if (type === 'VP8L') {
    const bits = view.u32(at + 1, true);
    if (length < 5 || view.u8(at) !== 0x2f || bits >>> 29 !== 0) throw undecodable('The lossless WebP is invalid.');
    const alpha = (bits & (1 << 28)) !== 0;
    return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1, lossless: true, alpha };
  }
  const keyFrame = (view.u8(at) & 1) === 0;
  if (length < 10 || !keyFrame || view.ascii(at + 3, 3) !== '\x9d\x01\x2a') throw undecodable('The WebP is invalid.');
  // The upper two bits ask for scaling at display, which decoders leave alone.
  const width = view.u16(at + 6, true) & 0x3fff;
  const height = view.u16(at + 8, true) & 0x3fff;
  if (width === 0 || height === 0) throw undecodable('The WebP has no size.');
  return { width, height, lossless: false, alpha: false };
}

export function readWebpHeader(view: ByteView): ImageHeader {
  const still = { format: 'webp', bitDepth: 8, cmyk: false, animated: false } as const;
  const { canvas, chunks, orientation, frames } = walk(view);
  const channelsOfCanvas = canvas !== undefined && canvas.flags & VP8X.alpha ? 4 : 3;
  if (canvas !== undefined && frames > 1) {
    return { ...still, animated: true, channels: channelsOfCanvas, ...sizeOf(canvas), orientation: 1 };
  }
  const frameChunk = chunks.find(isFrameChunk);
  if (frameChunk === undefined) throw undecodable('The WebP has no picture data.');
  const frame = readWebpFrame(view, frameChunk);
  if (canvas !== undefined && (canvas.width !== frame.width || canvas.height !== frame.height)) {
    throw undecodable('The WebP states two different sizes.');
  }
  // libwebp's rule: a lossless bitstream knows itself; beside a lossy one the container or an ALPH chunk says it.
  const lossyAlpha = channelsOfCanvas === 4 || (canvas !== undefined && chunks.some(({ type }) => type === 'ALPH'));
  const alpha = frame.lossless ? frame.alpha : lossyAlpha;
  return { ...still, ...sizeOf(frame), channels: alpha ? 4 : 3, orientation };
}

interface Walk {
  readonly canvas: Canvas | undefined;
  /** ALPH and bitstream of the picture; of an animation, those of its last frame so far. */
  readonly chunks: readonly RiffChunk[];
  readonly orientation: number;
  /** Frames of an animation; 0 for a still picture. */
  readonly frames: number;
}

/** Of an incomplete file, only what comes before the pixels, or before the second frame. */
function walk(view: ByteView): Walk {
  let canvas: Canvas | undefined;
  let chunks: RiffChunk[] = [];
  let orientation: number | undefined;
  let frames = 0;
  for (const chunk of webpChunks(view)) {
    if (chunk.at === RIFF_HEADER_BYTES + 8 && chunk.type === 'VP8X') canvas = readCanvas(view, chunk);
    const animated = canvas !== undefined && (canvas.flags & VP8X.animation) !== 0;
    if (animated && chunk.type === 'ANMF') {
      if (++frames > 1) break;
      chunks = [...frameChunks(view, chunk)];
    }
    if (chunk.type === 'ALPH' || isFrameChunk(chunk)) chunks.push(chunk);
    if (chunk.type === 'EXIF' && canvas !== undefined && view.complete) {
      orientation ??= exifOrientation(view.slice(chunk.at, chunk.length));
    }
    // Without VP8X nothing counts but the first chunk.
    if (canvas === undefined || (!animated && chunks.some(isFrameChunk) && !view.complete)) break;
  }
  return { canvas, chunks, orientation: orientation ?? 1, frames };
}

/** ALPH, if there is one, and the bitstream of a whole file with one picture, whether or not it calls itself an animation. */
export function pictureChunks(view: ByteView): { readonly flags: number; readonly chunks: readonly RiffChunk[] } {
  const { canvas, chunks } = walk(view);
  return { flags: canvas?.flags ?? 0, chunks: chunks.filter((chunk) => chunk.type === 'ALPH' || isFrameChunk(chunk)) };
}

interface Canvas {
  readonly flags: number;
  readonly width: number;
  readonly height: number;
}

function sizeOf({ width, height }: Pick<Canvas, 'width' | 'height'>): { width: number; height: number } {
  return { width, height };
}

function readCanvas(view: ByteView, { at, length }: RiffChunk): Canvas {
  if (length < 10) throw undecodable('The WebP header is invalid.');
  return { flags: view.u8(at), width: view.u24le(at + 4) + 1, height: view.u24le(at + 7) + 1 };
}
