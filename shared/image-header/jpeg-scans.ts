/** What follows the first SOS of a JPEG: entropy-coded data, further scans, an end marker or none (ITU-T T.81 Annex B). */
import { pictureTruncated } from '../protocol/errors.ts';
import { undecodable, type ByteView } from './byte-view.ts';
import { isFrame, jpegSegments, MARKER, MAX_SEGMENTS, PROGRESSIVE, type JpegSegment } from './jpeg-segments.ts';

/**
 * Every scan costs a pass over the whole picture, whatever its bytes. Encoders write a dozen; libjpeg-turbo's own fuzzers and
 * libtiff stop at 500 and 100.
 */
const MAX_SCANS = 100;

const COEFFICIENTS = 64;

const DHT = 0xc4;
const DNL_DQT_DRI_COM: readonly number[] = [0xdc, 0xdb, 0xdd, 0xfe];

export interface JpegExtent {
  /** The end of the last scan's data: what follows is an end marker, or does not belong to the picture. */
  readonly end: number;
  /** Whether an end marker stands at `end`. */
  readonly ended: boolean;
}

/**
 * Walks through the scans of a whole file that has a frame.
 * @throws {DeblurError} `image_undecodable` above MAX_SCANS, above MAX_SEGMENTS segments between scans, and without a scan;
 *   `image_truncated` when a progressive picture has no end marker and lacks scans
 */
export function jpegExtent(view: ByteView): JpegExtent {
  let frame: JpegSegment | undefined;
  for (const segment of jpegSegments(view)) {
    if (isFrame(segment.marker)) frame ??= segment;
    if (segment.marker !== MARKER.SOS || frame === undefined) continue;
    if (frame.marker === PROGRESSIVE) return progressiveExtent(view, segment, frame);
    // Nothing behind the first scan belongs to the picture when that scan has all components.
    const single = view.u8(segment.at) === view.u8(frame.at + 5);
    return scansExtent(view, segment, single, () => undefined);
  }
  throw undecodable('The JPEG has no picture data.');
}

function progressiveExtent(view: ByteView, firstScan: JpegSegment, frame: JpegSegment): JpegExtent {
  const coverage = new Coverage(view, frame);
  const extent = scansExtent(view, firstScan, false, (scan) => coverage.add(view, scan));
  // Each scan may be whole, and the picture still a coarse one.
  if (!extent.ended && !coverage.complete) {
    throw pictureTruncated('JPEG');
  }
  return extent;
}

/** Which bits of which coefficients the scans of a progressive JPEG have brought (§ G.1.1.1). */
class Coverage {
  /** For each component, by its identifier: the lowest bit that each coefficient has by now. */
  readonly #lowest: ReadonlyMap<number, Uint8Array>;

  constructor(view: ByteView, frame: JpegSegment) {
    const components = Array.from({ length: view.u8(frame.at + 5) }, (_, i) => view.u8(frame.at + 6 + 3 * i));
    this.#lowest = new Map(components.map((id) => [id, new Uint8Array(COEFFICIENTS).fill(0xff)]));
  }

  /** @param scan its payload may be malformed: then it brings nothing */
  add(view: ByteView, { at, length }: Pick<JpegSegment, 'at' | 'length'>): void {
    const count = length === 0 ? 0 : view.u8(at);
    if (length !== 4 + 2 * count) return;
    const [first, last, bits] = [0, 1, 2].map((i) => view.u8(at + 1 + 2 * count + i)) as [number, number, number];
    for (let i = 0; i < count; i++) {
      this.#lowest.get(view.u8(at + 1 + 2 * i))?.fill(bits & 0x0f, first, last + 1);
    }
  }

  get complete(): boolean {
    return [...this.#lowest.values()].every((bits) => bits.every((lowest) => lowest === 0));
  }
}

/** @param onScan gets the payload of each SOS */
function scansExtent(
  { bytes }: ByteView,
  firstScan: JpegSegment,
  single: boolean,
  onScan: (scan: Pick<JpegSegment, 'at' | 'length'>) => void,
): JpegExtent {
  let scans = 1;
  let at = firstScan.at + firstScan.length;
  onScan(firstScan);
  for (let segments = 0; segments < MAX_SEGMENTS; segments++) {
    at = nextMarker(bytes, at);
    const marker = bytes[at + 1];
    if (marker === MARKER.EOI) return { end: at, ended: true };
    const length = single ? 0 : segmentLength(bytes, at);
    if (length === 0) return { end: at, ended: false };
    if (marker === MARKER.SOS) {
      if (++scans > MAX_SCANS) throw undecodable(`The JPEG has more than ${MAX_SCANS} scans.`);
      onScan({ at: at + 4, length: length - 2 });
    }
    at += 2 + length;
  }
  throw undecodable('The JPEG has too many segments.');
}

/** Where the next marker begins that is neither a stuffed zero nor RST0–7; the end of the file without one. */
function nextMarker(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(0xff, from); at >= 0; at = bytes.indexOf(0xff, at + 1)) {
    const next = bytes[at + 1];
    if (next === undefined) break;
    const belongsToData = next === 0x00 || next === 0xff || (next >= 0xd0 && next <= 0xd7);
    if (!belongsToData) return at;
  }
  return bytes.length;
}

/** The length of a segment that may stand between scans; 0 for anything else, for example the beginning of a trailer. */
function segmentLength(bytes: Uint8Array, at: number): number {
  const marker = bytes[at + 1] ?? 0;
  const length = (bytes[at + 2] ?? 0) * 256 + (bytes[at + 3] ?? 0);
  if (length < 2 || at + 2 + length > bytes.length) return 0;
  const isApplication = marker >= MARKER.APP0 && marker <= 0xef;
  if (isApplication || DNL_DQT_DRI_COM.includes(marker)) return length;
  if (marker === DHT) return isHuffmanTable(bytes.subarray(at + 4, at + 2 + length)) ? length : 0;
  return marker === MARKER.SOS && length === 6 + 2 * (bytes[at + 4] ?? 0) ? length : 0;
}

/** Class and number, then how many codes there are of each length. */
function isHuffmanTable(table: Uint8Array): boolean {
  const codes = table.subarray(1, 17).reduce((sum, count) => sum + count, 0);
  return table.length >= 17 + codes && (table[0]! & 0xee) <= 0x12 && codes <= 256;
}
