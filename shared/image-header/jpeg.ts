/** JPEG: ITU-T T.81 Annex B. */
import { undecodable, type ByteView } from './byte-view.ts';
import { exifOrientation, hasExifPrefix } from './exif.ts';
import { jpegExtent } from './jpeg-scans.ts';
import { isFrame, jpegSegments, MARKER, PROGRESSIVE, type JpegSegment } from './jpeg-segments.ts';
import type { ImageHeader } from './types.ts';

export function isJpeg(view: ByteView): boolean {
  return view.has(0, '\xff\xd8\xff');
}

export function isExifSegment(view: ByteView, segment: JpegSegment): boolean {
  return segment.marker === MARKER.APP1 && segment.length > 6 && hasExifPrefix(view, segment.at);
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
    // Refuses what has too many scans.
    if (view.complete) jpegExtent(view);
    return { format: 'jpeg', ...frame, bitDepth: 8, animated: false, orientation: orientation ?? 1 };
  }
  throw undecodable('The JPEG has no frame before its data.');
}

function readFrame(
  view: ByteView,
  { marker, at, length }: JpegSegment,
): Pick<ImageHeader, 'width' | 'height' | 'channels' | 'cmyk'> {
  // Baseline, extended and progressive, all Huffman-coded: what every decoder here has.
  if (marker > PROGRESSIVE) throw undecodable('Lossless, hierarchical and arithmetic-coded JPEGs are not supported.');
  if (view.u8(at) !== 8) throw undecodable('Only JPEGs with 8 bits a sample are supported.');
  const height = view.u16(at + 1);
  const width = view.u16(at + 3);
  const components = view.u8(at + 5);
  if (length !== 6 + 3 * components) throw undecodable('The JPEG frame header has an impossible length.');
  if (height === 0 && width > 0)
    throw undecodable('The JPEG states its height in a DNL marker, which is not supported.');
  if (width === 0) throw undecodable('The JPEG has no size.');
  if (components !== 1 && components !== 3 && components !== 4) {
    throw undecodable('A JPEG must have 1, 3 or 4 components.');
  }
  return { width, height, channels: components === 1 ? 1 : 3, cmyk: components === 4 };
}
