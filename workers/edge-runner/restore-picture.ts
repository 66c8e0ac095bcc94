/** One picture through the edge: file in, lossless master and asked-for encoding out. Steps in reading order. */
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import { assertPixelLimits, readImageHeader, type ImageHeader } from '@deblur/shared/image-header/index.ts';
import { EDGE_MAX_PIXELS, EDGE_SOURCE_MAX_BYTES } from '@deblur/shared/limits.ts';
import { carriedMetadata, readMetadata, writeMetadata, type Metadata } from '@deblur/shared/metadata/index.ts';
import type { EncodeOptions, WorkingScale } from '@deblur/shared/protocol/options.ts';
import type { ImageCodec, TileSession } from '@deblur/shared/pixels/ports.ts';
import type { Channels, RawImage } from '@deblur/shared/pixels/raw-image.ts';
import { restoreImage } from '@deblur/shared/pixels/restore.ts';
import type { RestoreReport } from '@deblur/shared/protocol/runner-api.ts';
import type { TilingOptions } from '@deblur/shared/pixels/tiling.ts';

/** Says that the picture is getting on, and throws when it should not. */
export type Checkpoint = () => void;

/** The session's own clock of inference, see EdgeSession. */
export interface TimedTileSession extends TileSession {
  takeInferMs(): number;
}

export interface RestoreTools {
  readonly codec: ImageCodec;
  readonly session: TimedTileSession;
  readonly tiling: TilingOptions;
  readonly signal: AbortSignal;
  readonly checkpoint: Checkpoint;
  readonly workingScale: WorkingScale;
}

export interface RestoredPicture {
  readonly master: Uint8Array;
  readonly result: Uint8Array;
  readonly report: RestoreReport;
}

/**
 * The header of a picture that the edge takes: JPEG, PNG or WebP with 8 bits, one frame, RGB or grey, within the limits.
 * The gateway places others elsewhere; this is the same line, held from the inside.
 * @throws {DeblurError} what readImageHeader throws, `body_too_large`, `image_animated`, `image_too_many_pixels`,
 *   `unsupported_media_type`
 */
export function acceptedHeader(source: Uint8Array): ImageHeader {
  if (source.length > EDGE_SOURCE_MAX_BYTES) {
    throw new DeblurError('body_too_large', `The edge takes files up to ${EDGE_SOURCE_MAX_BYTES} bytes.`);
  }
  const header = readImageHeader(source);
  if (header.animated) throw new DeblurError('image_animated', 'The picture has more than one frame.');
  assertPixelLimits(header, EDGE_MAX_PIXELS);
  const { format, bitDepth, cmyk } = header;
  if ((format !== 'jpeg' && format !== 'png' && format !== 'webp') || bitDepth !== 8 || cmyk) {
    throw new DeblurError('unsupported_media_type', 'The edge takes 8-bit RGB and grey JPEG, PNG and WebP pictures.');
  }
  return header;
}

/** @throws {DeblurError} of the codec and the session @throws the signal's reason, between tiles */
export async function restorePicture(
  source: Uint8Array,
  header: ImageHeader,
  encoding: EncodeOptions,
  { codec, session, tiling, signal, checkpoint, workingScale }: RestoreTools,
): Promise<RestoredPicture> {
  const clock = stopwatch();
  const metadata = await readMetadata(source, header.format);
  const restoring = {
    session,
    tiling,
    orientation: header.orientation,
    signal,
    scale: workingScale,
    onProgress: checkpoint,
  };
  let decodeMs = 0;
  session.takeInferMs();
  // No name for the decoded pixels: once restored, they are garbage.
  const { image, ...facts } = await codec.decode(source, header).then((stored) => {
    decodeMs = clock();
    return restoreImage(stored, restoring);
  });
  const restoreMs = clock();
  const inferMs = session.takeInferMs();
  const png = await codec.encode(image, { format: 'png', quality: 100, metadata: 'keep' });
  checkpoint();
  const master = await withMetadata(png, image, metadata, { format: 'png', metadata: 'keep' });
  const result = await encodeResult(image, { png, master }, metadata, encoding, codec);
  const { width, height } = image;
  return { master, result, report: { ...facts, width, height, decodeMs, restoreMs, inferMs, encodeMs: clock() } };
}

/** Pixels are encoded as PNG once, whatever metadata goes into the two files. */
async function encodeResult(
  image: RawImage,
  { png, master }: { readonly png: Uint8Array; readonly master: Uint8Array },
  metadata: Metadata,
  encoding: EncodeOptions,
  codec: ImageCodec,
): Promise<Uint8Array> {
  if (encoding.format === 'png' && encoding.metadata === 'keep') return master;
  const file = encoding.format === 'png' ? png : await codec.encode(image, encoding);
  return withMetadata(file, image, metadata, encoding);
}

/** A master in another encoding: no inference. */
export async function encodeMaster(
  master: Uint8Array,
  header: ImageHeader,
  encoding: EncodeOptions,
  codec: ImageCodec,
): Promise<Uint8Array> {
  const image = await codec.decode(master, header);
  const metadata = await readMetadata(master, header.format);
  return withMetadata(await codec.encode(image, encoding), image, metadata, encoding);
}

async function withMetadata(
  file: Uint8Array,
  { channels, width, height }: RawImage,
  metadata: Metadata,
  { format, metadata: mode }: Pick<EncodeOptions, 'format' | 'metadata'>,
): Promise<Uint8Array> {
  if (format === 'avif') return file;
  const carried = carriedMetadata(metadata, mode, {
    convertedToRgb: false,
    format,
    channels: writtenChannels(channels, format),
    size: { width, height },
  });
  return writeMetadata(file, format, carried);
}

/** JPEG has no alpha, WebP no grey. */
function writtenChannels(channels: Channels, format: 'jpeg' | 'png' | 'webp'): Channels {
  if (format === 'jpeg') return channels <= 2 ? 1 : 3;
  if (format === 'webp') return channels === 1 || channels === 3 ? 3 : 4;
  return channels;
}

/** Milliseconds since the last call. In production the clock stands still between two awaits of I/O, so sums are coarse. */
function stopwatch(): () => number {
  let last = performance.now();
  return () => {
    const now = performance.now();
    const spent = now - last;
    last = now;
    return spent;
  };
}
