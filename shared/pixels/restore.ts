/**
 * The pixel path, once for every placement: upright → RGB tiles → network → blended → as many channels as before.
 */
import { DeblurError } from '../protocol/errors.ts';
import type { TileSession, Tile } from './ports.ts';
import { applyOrientation, hasAlpha, maxSample, samplesLike, type RawImage } from './raw-image.ts';
import { measureChange, type Change } from './change.ts';
import { addChange, ChangeEnlarger, reduceImage } from './rescale.ts';
import { FeatherBlender, planTiles, reflectIndex, type TilePlan, type TilingOptions } from './tiling.ts';
import { chooseScale, type Scale } from './working-scale.ts';

export interface RestoreOptions {
  readonly session: TileSession;
  /** The picture is restored at 1/scale of its size; `auto` chooses from the picture itself (working-scale.ts). */
  readonly scale?: 'auto' | Scale;
  readonly tiling: TilingOptions;
  /** EXIF orientation of the stored pixels, 1..8. */
  readonly orientation: number;
  /** `float32` runs tiles as floats in [0, 1]: always for 16-bit pictures, else for providers without uint8. */
  readonly samples?: 'uint8' | 'float32';
  /** Tiles in flight at once. The order of blending does not depend on it. */
  readonly concurrency?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
  /**
   * Called with the restored picture each time that more of its lines are final; `until` is the first that is not. What
   * blends waits for it, while tiles in flight go on.
   */
  readonly onLines?: (image: RawImage, until: number) => Promise<void>;
}

export interface Restored {
  /** Upright, with the channels and sample type of the input; alpha byte for byte. */
  readonly image: RawImage;
  readonly tiles: number;
  readonly scale: Scale;
  /** Pixels that the network restored: those of the picture at its working scale. */
  readonly restoredPixels: number;
  readonly change: Change;
}

/** Lines of a scaled restoration that become final together. */
const BAND_LINES = 64;

/**
 * Restores a picture of any size from 1×1 up.
 * @throws {DeblurError} what the session throws: a failed tile fails the picture
 * @throws the signal's reason, between tiles
 */
export async function restoreImage(stored: RawImage, options: RestoreOptions): Promise<Restored> {
  const source = applyOrientation(stored, options.orientation);
  const wanted = options.scale ?? 1;
  const scale = wanted === 'auto' ? chooseScale(source) : wanted;
  const restored = scale === 1 ? await restoreUpright(source, options) : await restoreScaled(source, scale, options);
  return { ...restored, change: measureChange(source, restored.image) };
}

async function restoreScaled(
  source: RawImage,
  scale: Exclude<Scale, 1>,
  { onLines, ...whole }: RestoreOptions,
): Promise<Omit<Restored, 'change'>> {
  const before = reduceImage(source, scale);
  const { image: after, tiles, restoredPixels } = await restoreUpright(before, whole);
  const image = { ...source, data: samplesLike(source.data, source.data.length) };
  copyAlpha(source, image.data);
  const enlarger = new ChangeEnlarger(before, after, scale, source.width);
  for (let from = 0; from < source.height; from += BAND_LINES) {
    const until = Math.min(source.height, from + BAND_LINES);
    addChange(source, image, enlarger, { from, until });
    whole.signal?.throwIfAborted();
    await onLines?.(image, until);
  }
  return { image, tiles, scale, restoredPixels };
}

async function restoreUpright(source: RawImage, options: RestoreOptions): Promise<Omit<Restored, 'change'>> {
  const plan = planTiles(source.width, source.height, options.tiling);
  const asFloat = source.data instanceof Uint16Array || options.samples === 'float32';
  const output = samplesLike(source.data, source.data.length);
  copyAlpha(source, output);
  const image = { ...source, data: output };
  const blender = new FeatherBlender(plan, (firstLine, lines) => writeLines(image, firstLine, lines, asFloat));
  const jobs = tileJobs(source, plan, asFloat, options);
  try {
    for (let row = 0; row < plan.y.starts.length; row++) {
      const until = await blender.addRow(row, take(jobs, plan.x.starts.length));
      await options.onLines?.(image, until);
    }
  } finally {
    // A failure outside the generator, in blending or writing, must not leave tiles running either.
    await jobs.return();
  }
  return { image, tiles: plan.count, scale: 1, restoredPixels: source.width * source.height };
}

/**
 * Restored tiles in reading order, up to `concurrency` in flight. What is yielded is valid until the next is asked for: later
 * tiles are cut into the same memory.
 */
async function* tileJobs(
  source: RawImage,
  plan: TilePlan,
  asFloat: boolean,
  { session, signal, concurrency = 1, onProgress }: RestoreOptions,
): AsyncGenerator<Tile['data'], void> {
  const inFlight: Promise<Tile>[] = [];
  let done = 0;
  let used: Tile['data'] | undefined;
  const next = async (): Promise<Tile['data']> => {
    const tile = await inFlight.shift()!;
    signal?.throwIfAborted();
    onProgress?.(++done, plan.count);
    return tile.data;
  };
  try {
    for (const top of plan.y.starts) {
      for (const left of plan.x.starts) {
        signal?.throwIfAborted();
        const tile = cutTile(source, plan, { left, top }, used ?? newSamples(plan, asFloat));
        used = undefined;
        const job = checked(session, tile, signal);
        // A tile may fail before its turn to be awaited: the failure is kept for that turn, not lost or unhandled.
        job.catch(() => undefined);
        inFlight.push(job);
        if (inFlight.length >= concurrency) yield (used = await next());
      }
    }
    while (inFlight.length > 0) yield await next();
  } finally {
    // After a failure the others are still running; their failures are already told.
    await Promise.allSettled(inFlight);
  }
}

async function checked(session: TileSession, tile: Tile, signal: AbortSignal | undefined): Promise<Tile> {
  const samples = tile.data.length;
  const result = await session.run(tile, signal);
  if (result.data.length !== samples) {
    throw new DeblurError('runner_failed', 'The network returned a tile of another size.');
  }
  return result;
}

async function* take<T>(source: AsyncGenerator<T, void>, count: number): AsyncGenerator<T, void> {
  for (let i = 0; i < count; i++) {
    const { value, done } = await source.next();
    if (done === true) return;
    yield value;
  }
}

function newSamples({ x, y }: TilePlan, asFloat: boolean): Tile['data'] {
  const samples = x.extent * y.extent * 3;
  return asFloat ? new Float32Array(samples) : new Uint8Array(samples);
}

interface Corner {
  readonly left: number;
  readonly top: number;
}

/** One tile as RGB; beyond the border the picture is reflected. Grey is given three times; alpha is left out. */
function cutTile(source: RawImage, plan: TilePlan, { left, top }: Corner, data: Tile['data']): Tile {
  const width = plan.x.extent;
  const height = plan.y.extent;
  const { channels } = source;
  const asFloat = data instanceof Float32Array;
  const asStored = !asFloat && channels === 3 && left + width <= source.width;
  const [green, blue] = channels >= 3 ? [1, 2] : [0, 0];
  const scale = asFloat ? 1 / maxSample(source) : 1;
  const columns = Int32Array.from({ length: width }, (_, i) => reflectIndex(left + i, source.width) * channels);
  let target = 0;
  for (let y = 0; y < height; y++) {
    const line = reflectIndex(top + y, source.height) * source.width * channels;
    if (asStored) {
      const from = line + left * 3;
      data.set(source.data.subarray(from, from + width * 3), y * width * 3);
      continue;
    }
    for (let x = 0; x < width; x++) {
      const pixel = line + columns[x]!;
      data[target++] = source.data[pixel]! * scale;
      data[target++] = source.data[pixel + green]! * scale;
      data[target++] = source.data[pixel + blue]! * scale;
    }
  }
  return { width, height, data };
}

function writeLines(image: RawImage, firstLine: number, lines: Float32Array, asFloat: boolean): void {
  const { channels, width, data } = image;
  const white = maxSample(image);
  const scale = asFloat ? white : 1;
  const sample = (value: number): number => Math.min(white, Math.max(0, Math.floor(value * scale + 0.5)));
  if (asFloat) requireNumbers(lines);
  let target = firstLine * width * channels;
  if (!asFloat && channels === 3) {
    // Weights sum to one, so what was made of bytes lies between 0 and 255: storing it cuts the fraction off.
    for (let i = 0; i < lines.length; i++) data[target + i] = lines[i]! + 0.5;
    return;
  }
  for (let i = 0; i < lines.length; i += 3, target += channels) {
    if (channels <= 2) {
      data[target] = sample((lines[i]! + lines[i + 1]! + lines[i + 2]!) / 3);
    } else {
      data[target] = sample(lines[i]!);
      data[target + 1] = sample(lines[i + 1]!);
      data[target + 2] = sample(lines[i + 2]!);
    }
  }
}

/** Stored as a sample, what is not a number would silently be black. */
function requireNumbers(lines: Float32Array): void {
  let sum = 0;
  for (let i = 0; i < lines.length; i++) sum += lines[i]!;
  if (Number.isNaN(sum)) throw new DeblurError('runner_failed', 'The network returned what is not a number.');
}

/** Alpha says where the picture is, not what it shows: the network never sees it. */
function copyAlpha(source: RawImage, output: Uint8Array | Uint16Array): void {
  const { channels, data } = source;
  if (!hasAlpha(channels)) return;
  for (let i = channels - 1; i < data.length; i += channels) output[i] = data[i]!;
}
