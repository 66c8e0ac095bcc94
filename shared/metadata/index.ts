/**
 * EXIF, ICC, XMP, IPTC, comment and density carried from container to container. Codecs give and take bare pixels; this is the only place that
 * knows where a format keeps its descriptions. Reading is tolerant: a broken block is dropped, the picture goes on.
 */
import type { ImageFormat } from '../image-header/index.ts';
import { METADATA_BLOCK_MAX_BYTES } from '../limits.ts';
import type { MetadataMode, OutputFormat } from '../protocol/options.ts';
import type { Channels } from '../pixels/raw-image.ts';
import { readHeifMetadata, writeAvifColour } from './heif.ts';
import { cleanExif, type Size } from './clean-exif.ts';
import { cleanXmp } from './clean-xmp.ts';
import { profileOfColour, SRGB_PRIMARIES } from './colour.ts';
import { rgbProfileOfGrey } from './icc-profile.ts';
import { readJpegMetadata, writeJpegMetadata } from './jpeg.ts';
import { readPngMetadata, writePngMetadata } from './png.ts';
import { readTiffMetadata } from './tiff.ts';
import type { Metadata, MetadataDraft } from './types.ts';
import { readWebpMetadata, writeWebpMetadata } from './webp.ts';

export { cleanExif } from './clean-exif.ts';
export type { Metadata } from './types.ts';

/**
 * Metadata of a JPEG, PNG, WebP, AVIF or HEIC; ICC and XMP of a TIFF; nothing of other formats. Never fails. Blocks above
 * METADATA_BLOCK_MAX_BYTES, compressed or not, are dropped.
 * @param bytes the whole file
 */
export async function readMetadata(bytes: Uint8Array, format: ImageFormat): Promise<Metadata> {
  const found: MetadataDraft = {};
  try {
    if (format === 'jpeg') readJpegMetadata(bytes, found);
    if (format === 'png') await readPngMetadata(bytes, found);
    if (format === 'webp') readWebpMetadata(bytes, found);
    if (format === 'tiff') readTiffMetadata(bytes, found);
    if (format === 'avif' || format === 'heic') readHeifMetadata(bytes, found);
  } catch {
    // Whatever was found before the break still counts.
  }
  return selectBlocks(found, (block, kind) => {
    if (block.length === 0 || block.length > METADATA_BLOCK_MAX_BYTES) return undefined;
    return kind === 'icc' ? profileOf(block) : block;
  });
}

export interface CarryOptions {
  /** The pixels left their colour space, CMYK above all, so the source's profile no longer tells what they mean. */
  readonly convertedToRgb: boolean;
  readonly format: OutputFormat;
  /** Of the picture that is written. */
  readonly channels: Channels;
  readonly size: Size;
}

/**
 * What of a source's metadata the result may carry. `keep`: all of it, upright and without thumbnail. `strip`: only what says what the
 * pixel numbers mean, because that is no description.
 */
export function carriedMetadata(metadata: Metadata, mode: MetadataMode, options: CarryOptions): Metadata {
  const described = selectBlocks(metadata, (block, kind) => {
    if (kind === 'icc' || mode === 'strip') return undefined;
    if (kind === 'exif') return cleanExif(block, options.size);
    return kind === 'xmp' ? cleanXmp(block, options.size) : block;
  });
  return { ...(mode === 'strip' ? {} : withoutColour(described)), ...carriedColour(metadata, options) };
}

/** What a file says of itself besides its colours. */
export function withoutColour({ colour: _, ...others }: Metadata): Metadata {
  return others;
}

/** A profile or a statement, in the way in which the format says it. */
function carriedColour(
  { icc, colour }: Metadata,
  { convertedToRgb, format, channels }: CarryOptions,
): Pick<Metadata, 'icc' | 'colour'> {
  if (convertedToRgb) return {};
  if (icc !== undefined) {
    const fitting = profileFits(icc, channels) ? icc : undefined;
    // Formats without grey show equal numbers by the grey profile's curve.
    const converted = isGreyProfile(icc) && channels >= 3 ? rgbProfileOfGrey(icc, SRGB_PRIMARIES) : undefined;
    const profile = fitting ?? converted;
    return profile === undefined ? {} : { icc: profile };
  }
  if (colour === undefined) return {};
  const said = format === 'png' || (format === 'avif' && colour.kind === 'cicp');
  return said ? { colour } : { icc: profileOfColour(colour, channels <= 2) };
}

/**
 * Adds metadata to a file that has none; its picture data stays byte for byte. What the format cannot hold (EXIF and XMP
 * above 64 KiB in a JPEG) is left out. Of an AVIF, only the colour is written: its encoder writes the rest.
 * @param file a whole file as an encoder wrote it
 * @throws {DeblurError} `image_undecodable`, `image_truncated` when it is not such a file
 */
export async function writeMetadata(file: Uint8Array, format: OutputFormat, metadata: Metadata): Promise<Uint8Array> {
  if (Object.keys(metadata).length === 0) return file;
  if (format === 'jpeg') return writeJpegMetadata(file, metadata);
  if (format === 'avif') return writeAvifColour(file, metadata);
  return format === 'png' ? writePngMetadata(file, metadata) : writeWebpMetadata(file, metadata);
}

type BlockKind = Exclude<keyof Metadata, 'colour' | 'density'>;

function selectBlocks(
  metadata: Metadata,
  select: (block: Uint8Array, kind: BlockKind) => Uint8Array | undefined,
): Metadata {
  const { colour, density } = metadata;
  const selected: MetadataDraft = { ...(colour && { colour }), ...(density && { density }) };
  for (const kind of ['exif', 'icc', 'xmp', 'iptc', 'comment'] as const) {
    const block = metadata[kind];
    const result = block === undefined ? undefined : select(block, kind);
    if (result !== undefined) selected[kind] = result;
  }
  return selected;
}

/** ICC.1 § 7.2: 128 bytes of header with the profile's own size first and `acsp` at 36. Padding after it is cut off. */
function profileOf(block: Uint8Array): Uint8Array | undefined {
  if (block.length < 132 || profileText(block, 36) !== 'acsp') return undefined;
  const size = new DataView(block.buffer, block.byteOffset).getUint32(0);
  return size >= 132 && size <= block.length ? block.subarray(0, size) : undefined;
}

function profileFits(icc: Uint8Array, channels: Channels): boolean {
  return profileText(icc, 16) === (channels <= 2 ? 'GRAY' : 'RGB ');
}

function isGreyProfile(icc: Uint8Array): boolean {
  return profileText(icc, 16) === 'GRAY';
}

function profileText(icc: Uint8Array, at: number): string {
  return String.fromCharCode(...icc.subarray(at, at + 4));
}
