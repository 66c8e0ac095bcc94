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
  let at = RIFF_HEADER_BYTES;
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
  const still = { format: 'webp', bitDepth: 8, cmyk: false, animated: false, orientation: 1 } as const;
  let canvas: { flags: number; width: number; height: number } | undefined;
  let frame: WebpFrame | undefined;
  let alphaChunk = false;
  let orientation: number | undefined;
  for (const chunk of webpChunks(view)) {
    const first = chunk.at === RIFF_HEADER_BYTES + 8;
    if (first && chunk.type === 'VP8X') {
      canvas = readCanvas(view, chunk);
      if (canvas.flags & VP8X.animation) {
        const channels = canvas.flags & VP8X.alpha ? 4 : 3;
        return { ...still, animated: true, channels, width: canvas.width, height: canvas.height };
      }
    }
    if (chunk.type === 'ALPH') alphaChunk = true;
    if (isFrameChunk(chunk)) frame ??= readWebpFrame(view, chunk);
    if (chunk.type === 'EXIF' && canvas !== undefined && view.complete) {
      orientation ??= exifOrientation(view.slice(chunk.at, chunk.length));
    }
    // Without VP8X nothing counts but the first chunk; of an incomplete file, only what comes before the pixels.
    if (canvas === undefined || (frame !== undefined && !view.complete)) break;
  }
  if (frame === undefined) throw undecodable('The WebP has no picture data.');
  const { width, height } = frame;
  if (canvas !== undefined && (canvas.width !== width || canvas.height !== height)) {
    throw undecodable('The WebP states two different sizes.');
  }
  // libwebp's rule: a lossless bitstream knows itself; beside a lossy one the container or an ALPH chunk says it.
  const lossyAlpha = canvas !== undefined && (alphaChunk || (canvas.flags & VP8X.alpha) !== 0);
  const alpha = frame.lossless ? frame.alpha : lossyAlpha;
  return { ...still, width, height, channels: alpha ? 4 : 3, orientation: orientation ?? 1 };
}

function readCanvas(view: ByteView, { at, length }: RiffChunk): { flags: number; width: number; height: number } {
  if (length < 10) throw undecodable('The WebP header is invalid.');
  return { flags: view.u8(at), width: view.u24le(at + 4) + 1, height: view.u24le(at + 7) + 1 };
}
