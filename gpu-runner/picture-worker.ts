/**
 * A thread that turns one file into another: header → pixels → restored pixels → files. Turning, flattening and cutting
 * a picture of 50 MP takes the JavaScript thread a second at a time, so it must not be the one that answers HTTP.
 */
import { parentPort } from 'node:worker_threads';
import { DeblurError } from '@deblur/shared/errors.ts';
import { assertPixelLimits, readImageHeader, type ImageHeader } from '@deblur/shared/image-header/index.ts';
import { MAX_PIXELS } from '@deblur/shared/limits.ts';
import { carriedMetadata, readMetadata, writeMetadata, type Metadata } from '@deblur/shared/metadata/index.ts';
import { OUTPUT_FORMATS, type EncodeOptions } from '@deblur/shared/options.ts';
import type { Tile, TileSession } from '@deblur/shared/ports.ts';
import { applyOrientation, type RawImage } from '@deblur/shared/raw-image.ts';
import { restoreImage, type Restored } from '@deblur/shared/restore.ts';
import { planTiles } from '@deblur/shared/tiling.ts';
import type { NetworkAccess, PictureReply, PictureRequest, TileCall, TileReply } from './picture-messages.ts';
import { LARGE_PIXELS } from './limits.ts';
import { RpcClient, serveRpc, type Transferred } from './rpc.ts';
import { avifFromPng, readAvifMetadata, sharpCodec } from './sharp-codec.ts';

if (parentPort === null) throw new Error('picture-worker.ts runs as a worker thread');
serveRpc<PictureRequest, PictureReply>(parentPort, async (request, signal) => {
  try {
    return await workOn(request, signal);
  } finally {
    request.network?.port.close();
  }
});

async function workOn(request: PictureRequest, signal: AbortSignal): Promise<Transferred<PictureReply>> {
  const { source, encoding, wantMaster, wantResult } = request;
  const clock = stopwatch();
  const header = acceptHeader(source);
  const metadata =
    header.format === 'avif' ? await readAvifMetadata(source) : await readMetadata(source, header.format);
  const network = request.network === undefined ? undefined : networkOf(request.network);
  const { image, tiles, decodeMs, restoreMs } = await pixelsOf(source, header, network, clock, signal);
  signal.throwIfAborted();

  const format = encoding.format ?? OUTPUT_FORMATS.find((name) => name === header.format) ?? 'png';
  const file = (options: EncodeOptions): Promise<Uint8Array> => encodeFile(image, options, metadata, header.cmyk);
  const masterOptions: EncodeOptions = { format: 'png', quality: 100, metadata: 'keep' };
  const resultIsMaster = wantMaster && format === 'png' && encoding.metadata === 'keep';
  const ownResult = (): Promise<Uint8Array> => file({ ...encoding, format });
  const encodings = [wantMaster ? () => file(masterOptions) : none, wantResult && !resultIsMaster ? ownResult : none];
  const [master, result = wantResult ? master : undefined] = await (image.width * image.height > LARGE_PIXELS
    ? oneByOne(encodings)
    : Promise.all(encodings.map((encode) => encode())));
  const { width, height } = image;
  const { inferMs, queueMs } = network?.times() ?? { inferMs: 0, queueMs: 0 };
  const report = { tiles, width, height, decodeMs, restoreMs, inferMs, encodeMs: clock() };
  const buffers = [master, result].flatMap((bytes) => (bytes === undefined ? [] : [bytes.buffer as ArrayBuffer]));
  return { value: { master, result, format, report, queueMs }, transfer: [...new Set(buffers)] };
}

const none = async (): Promise<undefined> => undefined;

/** Encoders of some formats hold several times the picture: of a large one, only one of them at a time. */
async function oneByOne<T>(works: readonly (() => Promise<T>)[]): Promise<T[]> {
  const results: T[] = [];
  for (const work of works) results.push(await work());
  return results;
}

interface Pixels extends Restored {
  readonly decodeMs: number;
  readonly restoreMs: number;
}

/** What was decoded ends with this function: while files are written, only the restored picture is held. */
async function pixelsOf(
  source: Uint8Array,
  header: ImageHeader,
  network: Network | undefined,
  clock: () => number,
  signal: AbortSignal,
): Promise<Pixels> {
  const stored = await sharpCodec.decode(source, header);
  const decodeMs = clock();
  signal.throwIfAborted();
  const made = await restored(stored, header, network, signal);
  return { ...made, decodeMs, restoreMs: clock() };
}

/** Everything that can be refused by the header is refused here, before a pixel is decoded. */
function acceptHeader(source: Uint8Array): ImageHeader {
  const header = readImageHeader(source);
  if (header.animated) throw new DeblurError('image_animated', 'The file has more than one picture.');
  assertPixelLimits(header, MAX_PIXELS);
  return header;
}

async function restored(
  stored: RawImage,
  { orientation }: ImageHeader,
  network: Network | undefined,
  signal: AbortSignal,
): Promise<Restored> {
  const upright = applyOrientation(stored, orientation);
  if (network === undefined) return { image: upright, tiles: 0 };
  const { tiling, tilesInFlight: concurrency } = network.access;
  const session = network.sessionOf(planTiles(upright.width, upright.height, tiling).count);
  return restoreImage(upright, { session, tiling, orientation: 1, concurrency, signal });
}

interface Network {
  readonly access: NetworkAccess;
  /** @param total tiles of the picture */
  readonly sessionOf: (total: number) => TileSession;
  /** Sums over the tiles so far. */
  readonly times: () => { readonly inferMs: number; readonly queueMs: number };
}

/** The sessions, which other threads hold, as the port that the pipeline wants. */
function networkOf(access: NetworkAccess): Network {
  const client = new RpcClient<TileCall, TileReply>(access.port);
  let inferMs = 0;
  let queueMs = 0;
  const sessionOf = (total: number): TileSession => ({
    // Without the signal: the pool has the prediction's own, and refuses what was not begun.
    async run<Samples extends Uint8Array | Float32Array>(tile: Tile<Samples>) {
      const reply = await client.call({ tile, total }, [tile.data.buffer as ArrayBuffer]);
      inferMs += reply.inferMs;
      queueMs += reply.queueMs;
      // The session was chosen by the type of the samples and checks that its output has the same.
      return reply.tile as Tile<Samples>;
    },
  });
  return { access, sessionOf, times: () => ({ inferMs, queueMs }) };
}

async function encodeFile(
  image: RawImage,
  options: EncodeOptions,
  metadata: Metadata,
  convertedToRgb: boolean,
): Promise<Uint8Array> {
  const { format } = options;
  // WebP, and AVIF as libheif writes it, have no grey: what is written is RGB.
  const channels = format === 'webp' || format === 'avif' ? 3 : image.channels;
  const carried = carriedMetadata(metadata, options.metadata, { convertedToRgb, channels });
  if (format !== 'avif') return owned(await writeMetadata(await sharpCodec.encode(image, options), format, carried));
  if (Object.keys(carried).length === 0) return owned(await sharpCodec.encode(image, options));
  const png = await sharpCodec.encode(image, { ...options, format: 'png' });
  return owned(await avifFromPng(await writeMetadata(png, 'png', carried), carried, options.quality));
}

/** In a buffer of its own, which may leave the thread; those of native code may not. */
function owned(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

/** @returns milliseconds since the last call */
function stopwatch(): () => number {
  let last = performance.now();
  return () => {
    const now = performance.now();
    const elapsed = now - last;
    last = now;
    return elapsed;
  };
}
