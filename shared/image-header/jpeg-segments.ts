/** JPEG segments up to the first scan: ITU-T T.81 Annex B. */
import { undecodable, type ByteView } from './byte-view.ts';

export const MARKER = { SOI: 0xd8, EOI: 0xd9, SOS: 0xda, APP0: 0xe0, APP1: 0xe1, APP2: 0xe2 } as const;

/** 255 pieces of a profile, as many of extended XMP, tables; a hostile file could have millions before its frame. */
export const MAX_SEGMENTS = 10_000;

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

/** SOF2. */
export const PROGRESSIVE = 0xc2;

/** SOF0..SOF15, without DHT, JPG and DAC that lie between them. */
export function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}
