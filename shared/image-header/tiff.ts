/** TIFF 6.0 and BigTIFF: the first directory, and whether more pages follow. */
import { kindNotSupportedBut, type DeblurError } from '../protocol/errors.ts';
import type { Channels } from '../pixels/raw-image.ts';
import { undecodable, type ByteView } from './byte-view.ts';
import { cameraRawUnsupported } from './camera-raw.ts';
import { findEntry, TAG, TiffReader, type Ifd } from './ifd.ts';
import { assertDirectoryCost, requirePixels } from './tiff-pixels.ts';
import type { ImageHeader } from './types.ts';

const PHOTOMETRIC = { whiteIsZero: 0, blackIsZero: 1, rgb: 2, palette: 3, separated: 5, ycbcr: 6 } as const;

/** Colour filter array and linear raw (DNG 1.7 § 4): the numbers of a sensor. */
const RAW_PHOTOMETRICS: readonly (number | undefined)[] = [32_803, 34_892];

const LAB_PHOTOMETRICS: readonly (number | undefined)[] = [8, 9, 10, 32_844, 32_845];

/** What the runner's libtiff reads. */
const COMPRESSIONS: readonly number[] = [1, 2, 3, 4, 5, 7, 8, 32_773, 32_946];

const COMPRESSION_NAMES: Readonly<Record<number, string>> = {
  6: 'old-style JPEG',
  33_003: 'JPEG 2000',
  33_005: 'JPEG 2000',
  34_712: 'JPEG 2000',
  34_887: 'LERC',
  34_925: 'LZMA',
  50_000: 'Zstandard',
  50_001: 'WebP',
  50_002: 'JPEG XL',
  52_546: 'JPEG XL',
};

/** Kodak, Sony, Nikon, Pentax and lossy DNG: compressions of sensor data. */
const RAW_COMPRESSIONS: readonly number[] = [32_767, 32_769, 34_713, 34_892, 65_000, 65_535];

/** NewSubfileType (tag 254): bit 0 a reduced copy of another page, bit 2 a transparency mask. */
const REDUCED = 0b001;
const REDUCED_OR_MASK = 0b101;

/** More directories than any still picture has: thumbnails come in ones and twos. */
const MAX_DIRECTORIES = 16;

/**
 * @throws {DeblurError} `unsupported_media_type` for camera raw files, CIELab and compressions that the runner does not read;
 *   `image_undecodable`, `image_truncated`
 */
export function readTiffHeader(view: ByteView): ImageHeader {
  const reader = new TiffReader(view);
  const ifd = reader.readIfd(reader.firstIfd);
  const value = (tag: number): number | undefined => reader.tagValue(ifd, tag);
  const width = value(TAG.width) ?? 0;
  const height = value(TAG.height) ?? 0;
  if (width === 0 || height === 0) throw undecodable('The TIFF has no size.');
  refuseCameraRaw(reader, ifd, width * height);
  const photometric = value(TAG.photometric);
  if (LAB_PHOTOMETRICS.includes(photometric)) throw unsupported('in CIELab or LogLuv colours');
  if ((value(TAG.sampleFormat) ?? 1) !== 1) throw undecodable('Only TIFFs with unsigned whole samples are supported.');
  requireKnownCompression(value(TAG.compression) ?? 1);
  const samples = value(TAG.samplesPerPixel) ?? 1;
  const channels = channelsOf(reader, ifd, photometric, samples);
  assertDirectoryCost(reader, ifd, { width, height });
  if (view.complete) requirePixels(reader, ifd, { width, height });
  return {
    format: 'tiff',
    width,
    height,
    channels,
    bitDepth: bitDepthOf(reader, ifd, samples, photometric),
    cmyk: photometric === PHOTOMETRIC.separated,
    animated: hasSecondPage(reader, ifd),
    orientation: reader.orientation(ifd),
  };
}

function unsupported(what: string): DeblurError {
  return kindNotSupportedBut(
    `TIFF pictures ${what}`,
    'Save the picture as an RGB TIFF without compression, or as PNG.',
  );
}

function requireKnownCompression(compression: number): void {
  if (COMPRESSIONS.includes(compression)) return;
  throw unsupported(`compressed with ${COMPRESSION_NAMES[compression] ?? `method ${compression}`}`);
}

/** Raw formats are TIFFs whose first directory is a preview, and which keep the sensor's data in a SubIFD or in a tag. */
function refuseCameraRaw(reader: TiffReader, ifd: Ifd, pixels: number): void {
  if (findEntry(ifd, TAG.dngVersion) !== undefined) throw cameraRawUnsupported();
  if (((reader.tagValue(ifd, TAG.newSubfileType) ?? 0) & REDUCED) !== 0) throw cameraRawUnsupported();
  for (const directory of [ifd, ...subDirectories(reader, ifd)]) {
    const value = (tag: number): number => reader.tagValue(directory, tag) ?? 0;
    if (RAW_PHOTOMETRICS.includes(value(TAG.photometric))) throw cameraRawUnsupported();
    if (RAW_COMPRESSIONS.includes(value(TAG.compression))) throw cameraRawUnsupported();
    // A first directory that is smaller than one below it is a preview, too, whether or not it says so.
    const reduced = (value(TAG.newSubfileType) & REDUCED_OR_MASK) !== 0;
    if (!reduced && value(TAG.width) * value(TAG.height) > pixels) throw cameraRawUnsupported();
  }
}

function subDirectories(reader: TiffReader, ifd: Ifd): Ifd[] {
  const entry = findEntry(ifd, TAG.subIfds);
  if (entry === undefined) return [];
  const count = Math.min(entry.count, MAX_DIRECTORIES);
  const offsets = Array.from({ length: count }, (_, i) => reader.value(entry, i));
  return offsets.flatMap((at) => (at === undefined ? [] : [reader.readIfd(at)]));
}

function channelsOf(reader: TiffReader, ifd: Ifd, photometric: number | undefined, samples: number): Channels {
  const colours = photometric === undefined ? undefined : coloursOf(photometric);
  if (colours === undefined) throw undecodable('The TIFF has a colour model that is not supported.');
  const extra = samples - colours;
  if (extra !== 0 && extra !== 1) throw undecodable('The TIFF has channels that are neither colour nor alpha.');
  const decoded = photometric === PHOTOMETRIC.palette || colours > 1 ? 3 : 1;
  // An extra sample that is declared to be unspecified (0) is no alpha: editors keep selections in it.
  if (extra === 0 || reader.tagValue(ifd, TAG.extraSamples) === 0) return decoded;
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
      return 3;
    case PHOTOMETRIC.separated:
      return 4;
    default:
      return undefined;
  }
}

function bitDepthOf(reader: TiffReader, ifd: Ifd, samples: number, photometric: number | undefined): 8 | 16 {
  const entry = findEntry(ifd, TAG.bitsPerSample);
  const depths = new Set<number | undefined>();
  // Some writers state the depth once for all samples.
  const stated = Math.min(samples, entry?.count ?? 0);
  for (let i = 0; i < stated; i++) depths.add(reader.value(entry!, i));
  const [depth = 1] = depths;
  if (depths.size > 1 || ![1, 2, 4, 8, 16].includes(depth))
    throw undecodable('The TIFF has a depth that is not supported.');
  // A palette's entries have 16 bits, its colours are decoded to 8.
  return depth === 16 && photometric !== PHOTOMETRIC.palette ? 16 : 8;
}

function hasSecondPage(reader: TiffReader, first: Ifd): boolean {
  const seen = new Set([first.at]);
  let { next } = first;
  while (next !== 0 && !seen.has(next)) {
    if (seen.size >= MAX_DIRECTORIES) return true;
    seen.add(next);
    const ifd = reader.readIfd(next);
    const type = reader.tagValue(ifd, TAG.newSubfileType) ?? 0;
    // The older SubfileType says 2 for a reduced copy.
    const reduced = (type & REDUCED_OR_MASK) !== 0 || reader.tagValue(ifd, TAG.subfileType) === 2;
    if (!reduced) return true;
    next = ifd.next;
  }
  return false;
}
