/** Metadata in WebP: RFC 9649 § 2.7; it needs the extended format, whose chunks have a fixed order. */
import { ByteView, undecodable } from '../image-header/byte-view.ts';
import { withoutExifPrefix } from '../image-header/exif.ts';
import { isFrameChunk, readWebpFrame, VP8X, webpChunks, type RiffChunk } from '../image-header/webp.ts';
import { concat, latin1, u32le } from './bytes.ts';
import type { Metadata, MetadataDraft } from './types.ts';

const OURS = new Set(['VP8X', 'ICCP', 'EXIF', 'XMP ']);

export function readWebpMetadata(bytes: Uint8Array, found: MetadataDraft): void {
  const view = new ByteView(bytes);
  for (const { type, at, length } of webpChunks(view)) {
    if (type === 'ICCP') found.icc ??= view.slice(at, length);
    if (type === 'EXIF') found.exif ??= withoutExifPrefix(view.slice(at, length));
    if (type === 'XMP ') found.xmp ??= view.slice(at, length);
  }
}

export function writeWebpMetadata(file: Uint8Array, { exif, icc, xmp }: Metadata): Uint8Array {
  const view = new ByteView(file);
  const chunks = [...webpChunks(view)];
  const body = concat([
    latin1('WEBP'),
    riffChunk('VP8X', extendedHeader(view, chunks, { icc, exif, xmp })),
    ...(icc === undefined ? [] : [riffChunk('ICCP', icc)]),
    ...chunks
      .filter(({ type }) => !OURS.has(type))
      .map(({ type, at, length }) => riffChunk(type, view.slice(at, length))),
    ...(exif === undefined ? [] : [riffChunk('EXIF', exif)]),
    ...(xmp === undefined ? [] : [riffChunk('XMP ', xmp)]),
  ]);
  return riffChunk('RIFF', body);
}

/** Flags and three reserved bytes, then the canvas. */
function extendedHeader(
  view: ByteView,
  chunks: readonly RiffChunk[],
  { exif, icc, xmp }: { readonly [Key in keyof Metadata]: Uint8Array | undefined },
): Uint8Array {
  const frameChunk = chunks.find(isFrameChunk);
  if (frameChunk === undefined) throw undecodable('The WebP has no picture data.');
  const { width, height, alpha } = readWebpFrame(view, frameChunk);
  const flags =
    (icc === undefined ? 0 : VP8X.icc) |
    (alpha || chunks.some(({ type }) => type === 'ALPH') ? VP8X.alpha : 0) |
    (exif === undefined ? 0 : VP8X.exif) |
    (xmp === undefined ? 0 : VP8X.xmp);
  return concat([u32le(flags), canvasSize(width, height)]);
}

/** Width and height of the canvas less one, in three bytes each. */
export function canvasSize(width: number, height: number): Uint8Array {
  return concat([u32le(width - 1).subarray(0, 3), u32le(height - 1).subarray(0, 3)]);
}

/** A chunk of a RIFF file: chunks start at even offsets. */
export function riffChunk(type: string, data: Uint8Array): Uint8Array {
  return concat([latin1(type), u32le(data.length), data, new Uint8Array(data.length % 2)]);
}
