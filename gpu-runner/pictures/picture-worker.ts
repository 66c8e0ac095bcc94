/**
 * A thread that turns one file into another: header → pixels → restored pixels → files. Turning, flattening and cutting
 * a picture of 50 MP takes the JavaScript thread a second at a time, so it must not be the one that answers HTTP.
 */
import { parentPort } from 'node:worker_threads';
import { pictureAnimated, heicNotDecoded } from '@deblur/shared/protocol/errors.ts';
import { assertPixelLimits, readImageHeader, type ImageHeader } from '@deblur/shared/image-header/index.ts';
import { MAX_PIXELS } from '@deblur/shared/limits.ts';
import { readMetadata } from '@deblur/shared/metadata/index.ts';
import { assertFormatHolds } from '@deblur/shared/protocol/format-limits.ts';
import type { Tile, TileSession } from '@deblur/shared/pixels/ports.ts';
import { applyOrientation, type RawImage } from '@deblur/shared/pixels/raw-image.ts';
import { restoreImage, type Restored } from '@deblur/shared/pixels/restore.ts';
import { planTiles } from '@deblur/shared/pixels/tiling.ts';
import { chooseScale } from '@deblur/shared/pixels/working-scale.ts';
import { IsolatedCodec } from './isolated-codec.ts';
import { PictureFiles } from './picture-files.ts';
import type { NetworkAccess, PictureReply, PictureRequest, TileCall, TileReply } from './picture-messages.ts';
import { RpcClient, serveRpc, type Transferred } from '../threads/rpc.ts';
import { TileSlots } from '../sessions/shared-tile.ts';

if (parentPort === null) throw new Error('picture-worker.ts runs as a worker thread');
serveRpc<PictureRequest, PictureReply>(parentPort, async (request, signal) => {
  try {
    return await workOn(request, signal);
  } finally {
    request.network?.port.close();
  }
});

async function workOn(request: PictureRequest, signal: AbortSignal): Promise<Transferred<PictureReply>> {
  const { source } = request;
  const clock = stopwatch();
  const header = acceptHeader(request);
  const codec = new IsolatedCodec(header, signal);
  const metadata = await readMetadata(source, header.format);
  const network = request.network === undefined ? undefined : networkOf(request.network);
  const files = new PictureFiles(request, { header, metadata, codec });
  try {
    const { image, facts, decodeMs, restoreMs } = await pixelsOf(source, header, {
      network,
      codec,
      files,
      clock,
      signal,
    });
    signal.throwIfAborted();
    const { master, result } = await files.written(image);
    const { width, height } = image;
    const { inferMs, queueMs } = network?.times() ?? { inferMs: 0, queueMs: 0 };
    const report = { ...facts, width, height, decodeMs, restoreMs, inferMs, encodeMs: clock() };
    const buffers = [master, result].flatMap((bytes) => (bytes === undefined ? [] : [bytes.buffer as ArrayBuffer]));
    return { value: { master, result, format: files.format, report, queueMs }, transfer: [...new Set(buffers)] };
  } finally {
    files.close();
  }
}

interface PictureWork {
  readonly network: Network | undefined;
  readonly codec: IsolatedCodec;
  readonly files: PictureFiles;
  readonly clock: () => number;
  readonly signal: AbortSignal;
}

/** The restored picture and what the report says of it; an encoding has no tiles and no change. */
interface Made {
  readonly image: RawImage;
  readonly facts: { readonly tiles: number } & Partial<Omit<Restored, 'image'>>;
}

interface Pixels extends Made {
  readonly decodeMs: number;
  readonly restoreMs: number;
}

/** What was decoded ends with this function: while files are written, only the restored picture is held. */
async function pixelsOf(source: Uint8Array, header: ImageHeader, work: PictureWork): Promise<Pixels> {
  const stored = await work.codec.decode(source, header);
  const decodeMs = work.clock();
  work.signal.throwIfAborted();
  const made = await restored(stored, header, work);
  return { ...made, decodeMs, restoreMs: work.clock() };
}

/** Everything that can be refused by the header is refused here, before a pixel is decoded. */
function acceptHeader({ source, encoding: { format }, heicDecoding }: PictureRequest): ImageHeader {
  const header = readImageHeader(source);
  if (header.format === 'heic' && !heicDecoding) throw heicNotDecoded();
  if (header.animated) throw pictureAnimated(header.format.toUpperCase());
  assertPixelLimits(header, MAX_PIXELS);
  if (format !== undefined) assertFormatHolds(format, header);
  return header;
}

async function restored(
  stored: RawImage,
  { orientation }: ImageHeader,
  { network, files, signal }: PictureWork,
): Promise<Made> {
  const upright = applyOrientation(stored, orientation);
  if (network === undefined) return { image: upright, facts: { tiles: 0 } };
  const onLines = (image: RawImage, until: number): Promise<void> => files.lines(image, until);
  const { tiling, tilesInFlight: concurrency, workingScale } = network.access;
  const scale = workingScale === 'auto' ? chooseScale(upright) : workingScale;
  const reduced = (side: number): number => Math.ceil(side / scale);
  const session = network.sessionOf(planTiles(reduced(upright.width), reduced(upright.height), tiling).count);
  const options = { session, tiling, orientation: 1, concurrency, signal, onLines, scale };
  const { image, ...facts } = await restoreImage(upright, options);
  return { image, facts };
}

interface Network {
  readonly access: NetworkAccess;
  /** @param total tiles of the picture */
  readonly sessionOf: (total: number) => TileSession;
  /** Sums over the tiles so far. */
  readonly times: () => { readonly inferMs: number; readonly queueMs: number };
}

/** This thread's, for all pictures that it works on. */
const slots = new TileSlots();

/** The sessions, which other threads hold, as the port that the pipeline wants. */
function networkOf(access: NetworkAccess): Network {
  const client = new RpcClient<TileCall, TileReply>(access.port);
  let inferMs = 0;
  let queueMs = 0;
  const sessionOf = (total: number): TileSession => ({
    // Without the signal: the pool has the prediction's own, and refuses what was not begun.
    async run<Samples extends Uint8Array | Float32Array>(given: Tile<Samples>) {
      const tile = slots.take(given);
      try {
        const ran = await client.call({ tile, total });
        inferMs += ran.inferMs;
        queueMs += ran.queueMs;
        given.data.set(tile.data);
        return given;
      } finally {
        // Whether the call ended well or not, no session touches the tile any more (see SessionPool.run).
        slots.give(tile);
      }
    },
  });
  return { access, sessionOf, times: () => ({ inferMs, queueMs }) };
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
