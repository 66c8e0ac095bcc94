/**
 * Reducing a picture to its working scale, and adding the enlarged change to the picture. All arithmetic is on integers,
 * so that every placement, and model-export/dhnet/evaluation/scaled_restoration.py, give the same samples;
 * model-export/scale-golden.json holds both to them.
 */
import { maxSample, samplesLike, type RawImage } from './raw-image.ts';
import type { Scale } from './working-scale.ts';

type Reducing = Exclude<Scale, 1>;

/**
 * The picture at 1/scale of its size, sides rounded up: every sample is the mean of scale × scale samples, rounded half
 * up; beyond the right and lower border the last column and row are repeated.
 */
export function reduceImage(image: RawImage, scale: Reducing): RawImage {
  const { channels, data } = image;
  const width = Math.ceil(image.width / scale);
  const height = Math.ceil(image.height / scale);
  const out = samplesLike(data, width * height * channels);
  const square = scale * scale;
  const columns = Int32Array.from({ length: width * scale }, (_, x) => Math.min(x, image.width - 1) * channels);
  const line = image.width * channels;
  let target = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < channels; channel++) {
        let sum = 0;
        for (let dy = 0; dy < scale; dy++) {
          const row = Math.min(y * scale + dy, image.height - 1) * line + channel;
          for (let dx = 0; dx < scale; dx++) sum += data[row + columns[x * scale + dx]!]!;
        }
        out[target++] = Math.floor((2 * sum + square) / (2 * square));
      }
    }
  }
  return { width, height, channels, data: out };
}

/** Of a phase: the first of four neighbours, relative to ⌊x / scale⌋, and their weights in 1024ths. */
type Taps = readonly [first: number, weights: readonly [number, number, number, number]];

/** Cubic convolution (Keys 1981, a = −1/2) at the centres of the pixels. */
export const TAPS: Readonly<Record<Reducing, readonly Taps[]>> = {
  2: [
    [-2, [-24, 232, 888, -72]],
    [-1, [-72, 888, 232, -24]],
  ],
  3: [
    [-2, [-38, 341, 797, -76]],
    [-1, [0, 1024, 0, 0]],
    [-1, [-76, 797, 341, -38]],
  ],
  4: [
    [-2, [-45, 399, 745, -75]],
    [-2, [-7, 93, 987, -49]],
    [-1, [-49, 987, 93, -7]],
    [-1, [-75, 745, 399, -45]],
  ],
};

const HALF = 2 ** 19;
const UNIT = 2 ** 20;

/** Enlarges a change line by line; only the four lines that a line needs are kept. */
export class ChangeEnlarger {
  readonly #before: RawImage;
  readonly #after: RawImage;
  readonly #scale: Reducing;
  readonly #width: number;
  /** By number of the small line: the line interpolated horizontally, in 1024ths. */
  readonly #lines = new Map<number, Float64Array>();

  /**
   * @param before the reduced picture
   * @param after the same, restored
   * @param width of the enlarged change in pixels
   */
  constructor(before: RawImage, after: RawImage, scale: Reducing, width: number) {
    this.#before = before;
    this.#after = after;
    this.#scale = scale;
    this.#width = width;
  }

  /** Line y of the enlarged change: width × channels integers. Lines are asked for from top to bottom. */
  line(y: number): Float64Array {
    const [first, weights] = TAPS[this.#scale][y % this.#scale]!;
    const top = Math.floor(y / this.#scale) + first;
    for (const kept of this.#lines.keys()) if (kept < Math.max(0, top)) this.#lines.delete(kept);
    const rows = weights.map((_, tap) => this.#interpolated(clamp(top + tap, this.#before.height)));
    const out = new Float64Array(this.#width * this.#before.channels);
    for (let i = 0; i < out.length; i++) {
      let sum = HALF;
      for (let tap = 0; tap < 4; tap++) sum += rows[tap]![i]! * weights[tap]!;
      out[i] = Math.floor(sum / UNIT);
    }
    return out;
  }

  #interpolated(row: number): Float64Array {
    const known = this.#lines.get(row);
    if (known !== undefined) return known;
    const { channels, width } = this.#before;
    const start = row * width * channels;
    const change = (x: number, channel: number): number => {
      const at = start + clamp(x, width) * channels + channel;
      return this.#after.data[at]! - this.#before.data[at]!;
    };
    const out = new Float64Array(this.#width * channels);
    for (let x = 0, target = 0; x < this.#width; x++) {
      const [first, weights] = TAPS[this.#scale][x % this.#scale]!;
      const left = Math.floor(x / this.#scale) + first;
      for (let channel = 0; channel < channels; channel++) {
        let sum = 0;
        for (let tap = 0; tap < 4; tap++) sum += change(left + tap, channel) * weights[tap]!;
        out[target++] = sum;
      }
    }
    this.#lines.set(row, out);
    return out;
  }
}

/**
 * Writes lines of source + change into `target`, clipped to the range of its samples. The last channel of a picture with
 * alpha is left alone.
 */
export function addChange(
  source: RawImage,
  target: RawImage,
  enlarger: ChangeEnlarger,
  lines: { readonly from: number; readonly until: number },
): void {
  const { channels, width } = source;
  const colours = channels === 2 || channels === 4 ? channels - 1 : channels;
  const white = maxSample(source);
  for (let y = lines.from; y < lines.until; y++) {
    const change = enlarger.line(y);
    const start = y * width * channels;
    for (let x = 0; x < width * channels; x += channels) {
      for (let channel = 0; channel < colours; channel++) {
        const value = source.data[start + x + channel]! + change[x + channel]!;
        target.data[start + x + channel] = Math.min(white, Math.max(0, value));
      }
    }
  }
}

function clamp(index: number, length: number): number {
  return Math.min(length - 1, Math.max(0, index));
}
