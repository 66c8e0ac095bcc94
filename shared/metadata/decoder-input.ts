/**
 * The bytes that decoders get: the picture as it is, in a container that all decoders read alike. libjpeg, libwebp, libpng and their
 * WebAssembly builds differ in what they make of missing end markers, trailers and animations of one frame.
 */
import { ByteView } from '../image-header/byte-view.ts';
import type { ImageHeader } from '../image-header/index.ts';
import { jpegExtent } from '../image-header/jpeg-scans.ts';
import { MARKER } from '../image-header/jpeg-segments.ts';
import { pngChunks } from '../image-header/png.ts';
import { pictureChunks, VP8X } from '../image-header/webp.ts';
import { concat, latin1, u32le } from './bytes.ts';
import { pngChunk } from './png.ts';
import { canvasSize, riffChunk } from './webp.ts';

/**
 * @param bytes the whole file
 * @param header what readImageHeader said of the same bytes
 * @returns the same bytes, a part of them, or a copy with what was missing
 */
export function decoderInput(bytes: Uint8Array, { format, width, height }: ImageHeader): Uint8Array {
  const view = new ByteView(bytes);
  switch (format) {
    case 'jpeg':
      return endedJpeg(view);
    case 'png':
      return endedPng(view);
    case 'webp':
      return stillWebp(view, { width, height });
    default:
      return bytes;
  }
}

/** Ends with an end marker, so that a decoder that runs out of data finds it too early, and says so. */
function endedJpeg(view: ByteView): Uint8Array {
  const { end, ended } = jpegExtent(view);
  if (ended) return view.bytes.subarray(0, end + 2);
  return concat([view.bytes.subarray(0, end), Uint8Array.of(0xff, MARKER.EOI)]);
}

function endedPng(view: ByteView): Uint8Array {
  for (const { type } of pngChunks(view)) if (type === 'IEND') return view.bytes;
  return concat([view.bytes, pngChunk('IEND')]);
}

function stillWebp(view: ByteView, { width, height }: Pick<ImageHeader, 'width' | 'height'>): Uint8Array {
  const { flags, chunks } = pictureChunks(view);
  if ((flags & VP8X.animation) === 0) return view.bytes;
  const body = concat([
    latin1('WEBP'),
    riffChunk('VP8X', concat([u32le(flags & VP8X.alpha), canvasSize(width, height)])),
    ...chunks.map(({ type, at, length }) => riffChunk(type, view.slice(at, length))),
  ]);
  return riffChunk('RIFF', body);
}
