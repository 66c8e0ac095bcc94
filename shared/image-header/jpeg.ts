/** JPEG: ITU-T T.81 Annex B. */
import { DeblurError } from '../protocol/errors.ts';
import { undecodable, type ByteView } from './byte-view.ts';
import { exifOrientation } from './exif.ts';
import type { ImageHeader } from './types.ts';

export const MARKER = { SOI: 0xd8, EOI: 0xd9, SOS: 0xda, APP0: 0xe0, APP1: 0xe1, APP2: 0xe2 } as const;

/** 255 pieces of a profile, as many of extended XMP, tables; a hostile file could have millions before its frame. */
const MAX_SEGMENTS = 10_000;

export interface JpegSegment {
  readonly marker: number;
  /** The payload, after the length field. */
  readonly at: number;
  readonly length: number;
}

/** Segments up to and including the first SOS, whose entropy-coded data has no length. Ends early at an EOI. */
export function* jpegSegments(view: ByteView): Generator<JpegSegment, void> {
  let at = 2;
  for (let count = 0; count < MAX_SEGMENTS;) {
    // Bytes that belong to no segment are skipped, as libjpeg does.
    while (view.u8(at) !== 0xff) at++;
    while (view.u8(at) === 0xff) at++;
    const marker = view.u8(at++);
    if (marker === MARKER.EOI) return;
    if (isStandalone(marker)) continue;
    const length = view.u16(at);
    if (length < 2) throw undecodable('A JPEG segment has an impossible length.');
    yield { marker, at: at + 2, length: length - 2 };
    if (marker === MARKER.SOS) return;
    at += length;
    count++;
  }
  throw undecodable('The JPEG has too many segments.');
}

/** Stuffed zero, TEM, RST0–7 and SOI carry no length. */
function isStandalone(marker: number): boolean {
  return marker === 0x00 || marker === 0x01 || (marker >= 0xd0 && marker <= MARKER.SOI);
}

/** SOF0..SOF15, without DHT, JPG and DAC that lie between them. */
function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}

export function isJpeg(view: ByteView): boolean {
  return view.has(0, '\xff\xd8\xff');
}

export function isExifSegment(view: ByteView, segment: JpegSegment): boolean {
  return segment.marker === MARKER.APP1 && segment.length > 6 && view.has(segment.at, 'Exif\0\0');
}

export function readJpegHeader(view: ByteView): ImageHeader {
  let frame: Pick<ImageHeader, 'width' | 'height' | 'channels' | 'cmyk'> | undefined;
  let orientation: number | undefined;
  for (const segment of jpegSegments(view)) {
    const { marker, at, length } = segment;
    if (isFrame(marker)) frame ??= readFrame(view, segment);
    if (isExifSegment(view, segment)) orientation ??= exifOrientation(view.slice(at, length));
    if (marker !== MARKER.SOS) continue;
    if (frame === undefined) break;
    if (view.complete) requireEnd(view, at);
    return { format: 'jpeg', ...frame, bitDepth: 8, animated: false, orientation: orientation ?? 1 };
  }
  throw undecodable('The JPEG has no frame before its data.');
}

function readFrame(
  view: ByteView,
  { marker, at, length }: JpegSegment,
): Pick<ImageHeader, 'width' | 'height' | 'channels' | 'cmyk'> {
  // Baseline, extended and progressive, all Huffman-coded: what every decoder here has.
  if (marker > 0xc2) throw undecodable('Lossless, hierarchical and arithmetic-coded JPEGs are not supported.');
  if (view.u8(at) !== 8) throw undecodable('Only JPEGs with 8 bits a sample are supported.');
  const height = view.u16(at + 1);
  const width = view.u16(at + 3);
  const components = view.u8(at + 5);
  if (length !== 6 + 3 * components) throw undecodable('The JPEG frame header has an impossible length.');
  // Height 0 announces a DNL marker after the first scan; no encoder in use writes it.
  if (width === 0 || height === 0) throw undecodable('The JPEG has no size.');
  if (components !== 1 && components !== 3 && components !== 4) {
    throw undecodable('A JPEG must have 1, 3 or 4 components.');
  }
  return { width, height, channels: components === 1 ? 1 : 3, cmyk: components === 4 };
}

/** In entropy-coded data 0xff is always stuffed, so 0xff 0xd9 is an end marker. Bytes after it do no harm. */
function requireEnd(view: ByteView, from: number): void {
  const { bytes } = view;
  for (let at = bytes.lastIndexOf(MARKER.EOI); at > from; at = bytes.lastIndexOf(MARKER.EOI, at - 1)) {
    if (bytes[at - 1] === 0xff) return;
  }
  throw new DeblurError('image_truncated', 'The JPEG ends before its picture does.');
}
