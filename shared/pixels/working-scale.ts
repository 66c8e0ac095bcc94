/**
 * The working scale of a picture, 1, 2, 3 or 4: restoration works at 1/scale of the picture's size.
 *
 * The networks know blur of up to about 20 pixels. A picture that was enlarged, or that comes from a sensor with more
 * pixels than its lens resolves, shows the same blur over more pixels, and a restoration at full size changes nothing.
 * `chooseScale` finds how many pixels wide the finest structure of a picture is: the energies of second differences at
 * small lags rise faster where it is wider. All arithmetic is on integers below 2⁵³, so that every placement, and
 * model-export/dhnet/evaluation/working_scale.py, which has the whole description, choose alike;
 * model-export/scale-golden.json holds both to the same answers.
 */
import type { RawImage } from './raw-image.ts';

export const SCALES = [1, 2, 3, 4] as const;
export type Scale = (typeof SCALES)[number];

/** Lags in pixels. */
const LAGS = [1, 2, 3, 4, 6, 8] as const;
/** Side of a window in pixels, and windows along an axis. */
const WINDOW = 256;
const MOST_WINDOWS = 8;
/** Pixels of the shorter side; a smaller picture has scale 1. */
const LEAST_SIDE = 64;
/** In sixteenths of a squared level: what rounding to bytes adds, and the least energy. */
const QUANTISATION = 48;
const FLOOR = 8;
/** Of `isSmooth`: the least rise from lag 1 to 2; or an energy at lag 1 that is hardly there, and a rise from 2 to 3. */
const STEEP = 563;
const FAINT = 128;
const RISING = 205;
/** Fitted by ridge regression (working_scale.py says to what); in units of 2⁻¹⁸. */
const BIAS = 174_553;
const LEVEL = -115;
const SLOPES = [-149, 746, 877, 41, -669] as const;
const THRESHOLDS = [262_144, 445_645, 576_717] as const;

/** The scale for an upright picture of any size and kind; 1 where it cannot be told. */
export function chooseScale(image: RawImage): Scale {
  if (Math.min(image.width, image.height) < LEAST_SIDE) return 1;
  const energies = energiesOf(image);
  if (!isSmooth(energies)) return 1;
  const found = scoreOf(energies);
  return SCALES[THRESHOLDS.filter((threshold) => found > threshold).length]!;
}

/** Mean squared second differences at every lag, in sixteenths, for a picture with sides of at least 64 pixels. */
export function energiesOf(image: RawImage, lags: readonly number[] = LAGS): number[] {
  const sums = lags.map(() => 0);
  const counts = lags.map(() => 0);
  for (const top of startsOf(image.height)) {
    for (const left of startsOf(image.width)) {
      const window = lumaOf(image, left, top);
      for (const [index, lag] of lags.entries()) {
        for (const along of ['rows', 'columns'] as const) {
          const { sum, count } = energy(window, lag, along);
          sums[index]! += sum;
          counts[index]! += count;
        }
      }
    }
  }
  return lags.map((_, index) =>
    counts[index] === 0 ? FLOOR : Math.max(Math.floor((16 * sums[index]!) / counts[index]!) - QUANTISATION, FLOOR),
  );
}

/** Larger where the finest structure is wider. */
export function scoreOf(energies: readonly number[]): number {
  const logs = energies.map(fixedLog2);
  const level = Math.min(Math.max(logs[0]! - 1024, 0), 2048);
  const rise = (index: number): number => Math.min(Math.max(logs[index + 1]! - logs[index]!, 0), 1024);
  return BIAS + LEVEL * level + SLOPES.reduce((sum, weight, index) => sum + weight * rise(index), 0);
}

/** Whether the finest differences are weak beside coarser ones, or hardly there at all: otherwise the scale is 1. */
function isSmooth(energies: readonly number[]): boolean {
  const [first, second, third] = energies.map(fixedLog2) as [number, number, number];
  return second - first >= STEEP || (energies[0]! < FAINT && third - second >= RISING);
}

/** Mean squared second difference of neighbouring pixels, in sixteenths: how much fine structure a picture has. */
export function finestEnergy(image: RawImage): number {
  return energiesOf(image, [1])[0]!;
}

interface Window {
  readonly width: number;
  readonly height: number;
  /** R + 2·G + B of bytes, 0 to 1020. */
  readonly luma: Int32Array;
}

/** Where the windows along an axis begin. */
function startsOf(length: number): number[] {
  const side = Math.min(length, WINDOW);
  const count = Math.min(MOST_WINDOWS, Math.ceil(length / WINDOW));
  if (count === 1) return [0];
  return Array.from({ length: count }, (_, i) => Math.floor((i * (length - side)) / (count - 1)));
}

/** Grey counts three times; of 16 bits the upper byte counts; alpha does not count. */
function lumaOf(image: RawImage, left: number, top: number): Window {
  const { channels, data } = image;
  const width = Math.min(image.width, WINDOW);
  const height = Math.min(image.height, WINDOW);
  const shift = data instanceof Uint16Array ? 8 : 0;
  const [green, blue] = channels >= 3 ? [1, 2] : [0, 0];
  const luma = new Int32Array(width * height);
  for (let y = 0; y < height; y++) {
    let at = ((top + y) * image.width + left) * channels;
    for (let target = y * width; target < (y + 1) * width; target++, at += channels) {
      luma[target] = (data[at]! >> shift) + 2 * (data[at + green]! >> shift) + (data[at + blue]! >> shift);
    }
  }
  return { width, height, luma };
}

function energy(
  { width, height, luma }: Window,
  lag: number,
  along: 'rows' | 'columns',
): { sum: number; count: number } {
  const step = along === 'rows' ? lag : lag * width;
  const columns = Math.max(0, along === 'rows' ? width - 2 * lag : width);
  const rows = Math.max(0, along === 'rows' ? height : height - 2 * lag);
  let sum = 0;
  for (let y = 0; y < rows; y++) {
    const start = y * width;
    // A row of squares stays below 2³¹: 256 · 2040².
    let row = 0;
    for (let at = start; at < start + columns; at++) {
      const bend = luma[at]! - 2 * luma[at + step]! + luma[at + 2 * step]!;
      row += bend * bend;
    }
    sum += row;
  }
  return { sum, count: rows * columns };
}

/** 256·log₂ of a positive integer, rounded down bit by bit by squaring sixteen bits. */
function fixedLog2(value: number): number {
  let exponent = 0;
  while (2 ** (exponent + 1) <= value) exponent++;
  let mantissa = exponent <= 15 ? value * 2 ** (15 - exponent) : Math.floor(value / 2 ** (exponent - 15));
  let result = exponent;
  for (let bit = 0; bit < 8; bit++) {
    mantissa = Math.floor((mantissa * mantissa) / 32_768);
    const carry = mantissa >= 65_536 ? 1 : 0;
    result = 2 * result + carry;
    mantissa >>= carry;
  }
  return result;
}
