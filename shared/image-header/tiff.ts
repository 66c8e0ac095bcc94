/** TIFF 6.0: the first directory, and whether more pages follow. */
import { DeblurError } from '../protocol/errors.ts';
import type { Channels } from '../pixels/raw-image.ts';
import { undecodable, type ByteView } from './byte-view.ts';
import { entryValue, findEntry, ifdOrientation, readIfd, readTiffStart, TAG, tagValue, type Ifd } from './ifd.ts';
import type { ImageHeader } from './types.ts';

const PHOTOMETRIC = { whiteIsZero: 0, blackIsZero: 1, rgb: 2, palette: 3, separated: 5, ycbcr: 6, cielab: 8 } as const;

/** NewSubfileType (tag 254): bit 0 a reduced copy of another page, bit 2 a transparency mask. */
const REDUCED_OR_MASK = 0b101;

/** More directories than any still picture has: thumbnails come in ones and twos. */
const MAX_DIRECTORIES = 16;

export function readTiffHeader(view: ByteView): ImageHeader {
  const { littleEndian, firstIfd } = readTiffStart(view);
  const ifd = readIfd(view, firstIfd, littleEndian);
  const value = (tag: number): number | undefined => tagValue(view, ifd, tag, littleEndian);
  const width = value(TAG.width) ?? 0;
  const height = value(TAG.height) ?? 0;
  if (width === 0 || height === 0) throw undecodable('The TIFF has no size.');
  if ((value(TAG.sampleFormat) ?? 1) !== 1) throw undecodable('Only TIFFs with unsigned whole samples are supported.');
  const photometric = value(TAG.photometric);
  const samples = value(TAG.samplesPerPixel) ?? 1;
  if (view.complete) requirePixels(view, ifd, littleEndian);
  return {
    format: 'tiff',
    width,
    height,
    channels: channelsOf(photometric, samples),
    bitDepth: bitDepthOf(view, ifd, samples, photometric, littleEndian),
    cmyk: photometric === PHOTOMETRIC.separated,
    animated: hasSecondPage(view, ifd, littleEndian),
    orientation: ifdOrientation(view, ifd, littleEndian),
  };
}

function channelsOf(photometric: number | undefined, samples: number): Channels {
  const colours = photometric === undefined ? undefined : coloursOf(photometric);
  if (colours === undefined) throw undecodable('The TIFF has a colour model that is not supported.');
  const extra = samples - colours;
  if (extra !== 0 && extra !== 1) throw undecodable('The TIFF has channels that are neither colour nor alpha.');
  const decoded = photometric === PHOTOMETRIC.palette || colours > 1 ? 3 : 1;
  if (extra === 0) return decoded;
  return decoded === 1 ? 2 : 4;
}

/** Samples a pixel without extra ones; undefined for colour models that no decoder here has. */
function coloursOf(photometric: number): number | undefined {
  switch (photometric) {
    case PHOTOMETRIC.whiteIsZero:
    case PHOTOMETRIC.blackIsZero:
    case PHOTOMETRIC.palette:
      return 1;
    case PHOTOMETRIC.rgb:
    case PHOTOMETRIC.ycbcr:
    case PHOTOMETRIC.cielab:
      return 3;
    case PHOTOMETRIC.separated:
      return 4;
    default:
      return undefined;
  }
}

function bitDepthOf(
  view: ByteView,
  ifd: Ifd,
  samples: number,
  photometric: number | undefined,
  littleEndian: boolean,
): 8 | 16 {
  const entry = findEntry(ifd, TAG.bitsPerSample);
  const depths = new Set<number | undefined>();
  // Some writers state the depth once for all samples.
  const stated = Math.min(samples, entry?.count ?? 0);
  for (let i = 0; i < stated; i++) depths.add(entryValue(view, entry!, i, littleEndian));
  const [depth = 1] = depths;
  if (depths.size > 1 || ![1, 2, 4, 8, 16].includes(depth))
    throw undecodable('The TIFF has a depth that is not supported.');
  // A palette's entries have 16 bits, its colours are decoded to 8.
  return depth === 16 && photometric !== PHOTOMETRIC.palette ? 16 : 8;
}

function requirePixels(view: ByteView, ifd: Ifd, littleEndian: boolean): void {
  const offsets = findEntry(ifd, TAG.stripOffsets) ?? findEntry(ifd, TAG.tileOffsets);
  const lengths = findEntry(ifd, TAG.stripByteCounts) ?? findEntry(ifd, TAG.tileByteCounts);
  if (offsets === undefined || lengths === undefined) throw undecodable('The TIFF has no picture data.');
  // Each value takes a byte of the file or more, so the file bounds the loop.
  view.require(offsets.valueAt, offsets.byteLength);
  view.require(lengths.valueAt, lengths.byteLength);
  for (let i = 0; i < Math.min(offsets.count, lengths.count); i++) {
    const offset = entryValue(view, offsets, i, littleEndian);
    const length = entryValue(view, lengths, i, littleEndian);
    if (offset === undefined || length === undefined) throw undecodable('The TIFF has no picture data.');
    if (offset + length > view.length)
      throw new DeblurError('image_truncated', 'The TIFF ends before its picture does.');
  }
}

function hasSecondPage(view: ByteView, first: Ifd, littleEndian: boolean): boolean {
  const seen = new Set([first.at]);
  let { next } = first;
  while (next !== 0 && !seen.has(next)) {
    if (seen.size >= MAX_DIRECTORIES) return true;
    seen.add(next);
    const ifd = readIfd(view, next, littleEndian);
    const type = tagValue(view, ifd, TAG.newSubfileType, littleEndian) ?? 0;
    // The older SubfileType says 2 for a reduced copy.
    const reduced = (type & REDUCED_OR_MASK) !== 0 || tagValue(view, ifd, TAG.subfileType, littleEndian) === 2;
    if (!reduced) return true;
    next = ifd.next;
  }
  return false;
}
