/** Writes weights in the order in which the kernels (scripts/kernels) read them. */
import { PANEL_VECTORS } from './scratch.ts';

const LANES = 4;
/** Inputs and outputs of one step of a product. */
const CHUNK = PANEL_VECTORS * LANES;
const PAIR = 2 * LANES;
/** Of one chunk and one pair: biases, and the weights of the chunk's channels. */
const PAIR_FLOATS = (1 + CHUNK) * PAIR;

/** Maps of a Volterra filter of rank 4: one of first order, and two factors for each product. */
export const VOLTERRA_MAPS = 9;
/** Two channels of 3×3. */
const VOLTERRA_TAPS = 18;

/** Gives linear memory for so many floats: its address, and the array to write by. */
export type Reserve = (floats: number) => { readonly address: number; readonly values: Float32Array };

export const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** A matrix product: addresses and sizes as the kernel takes them. */
export interface Product {
  readonly weights: number;
  readonly chunks: number;
  readonly pairs: number;
}

/** The weights [outputs, inputs] of a product; they may be written to. */
export interface Matrix {
  readonly outputs: number;
  readonly inputs: number;
  readonly weights: Float32Array;
  readonly bias?: Float32Array | undefined;
  /** Which output stands at each place; all in order without it. */
  readonly rows?: readonly number[];
  /** Which input stands at each place; all in order without it. */
  readonly columns?: readonly number[];
  readonly rowScale?: Float32Array | undefined;
  readonly columnScale?: Float32Array | undefined;
}

/** Chunk by chunk, in it pair by pair: biases (of the first chunk only), then for each input the weights of the pair's outputs. */
export function packProduct(reserve: Reserve, matrix: Matrix): Product {
  const { outputs, inputs, bias } = matrix;
  const rows = Int32Array.from(matrix.rows ?? range(outputs));
  const columns = Int32Array.from(matrix.columns ?? range(inputs));
  const chunks = Math.ceil(inputs / CHUNK);
  const pairs = Math.ceil(outputs / PAIR);
  const { address, values } = reserve(chunks * pairs * PAIR_FLOATS);
  scale(matrix);
  for (let chunk = 0; chunk < chunks; chunk++) {
    const taken = columns.subarray(chunk * CHUNK, (chunk + 1) * CHUNK);
    for (let pair = 0; pair < pairs; pair++) {
      const part = values.subarray((chunk * pairs + pair) * PAIR_FLOATS);
      fillPart(part, matrix, rows.subarray(pair * PAIR, (pair + 1) * PAIR), taken);
    }
  }
  if (bias !== undefined) {
    rows.forEach((row, place) => (values[Math.floor(place / PAIR) * PAIR_FLOATS + (place % PAIR)] = bias[row]!));
  }
  return { weights: address, chunks, pairs };
}

function scale({ weights, inputs, rowScale, columnScale }: Matrix): void {
  for (let at = 0; rowScale !== undefined && at < weights.length; at += inputs) {
    const factor = rowScale[at / inputs]!;
    for (let column = 0; column < inputs; column++) weights[at + column]! *= factor;
  }
  for (let at = 0; columnScale !== undefined && at < weights.length; at += inputs) {
    for (let column = 0; column < inputs; column++) weights[at + column]! *= columnScale[column]!;
  }
}

/** Writes the weights of one chunk and one pair behind the place of their biases. */
function fillPart(part: Float32Array, { weights, inputs }: Matrix, rows: Int32Array, columns: Int32Array): void {
  for (let o = 0; o < rows.length; o++) {
    const row = rows[o]! * inputs;
    for (let k = 0; k < columns.length; k++) part[(1 + k) * PAIR + o] = weights[row + columns[k]!]!;
  }
}

/** A filter [channels, 1, size, size] over every channel. */
export interface DepthwiseFilter {
  readonly size: number;
  readonly weights: Float32Array;
  readonly bias: Float32Array;
}

/**
 * For each filter, and each four channels: the bias and side² weights. A smaller filter stands in the middle of zeros.
 * @param order which channel stands at each place
 */
export function packDepthwise(
  reserve: Reserve,
  filters: readonly DepthwiseFilter[],
  side: number,
  order: readonly number[],
): number {
  const vectors = 1 + side * side;
  const { address, values } = reserve(filters.length * order.length * vectors);
  filters.forEach(({ size, weights, bias }, f) => {
    const margin = (side - size) / 2;
    order.forEach((channel, place) => {
      const at = (f * order.length + place - (place % LANES)) * vectors + (place % LANES);
      values[at] = bias[channel]!;
      for (let y = 0; y < size; y++) {
        for (let x = 0; x < size; x++) {
          const tap = (margin + y) * side + margin + x;
          values[at + (1 + tap) * LANES] = weights[(channel * size + y) * size + x]!;
        }
      }
    });
  });
  return address;
}

/** For each four channels: a bias for each map; then for each tap a weight for each map. weights: [channels·maps, 2, 3, 3]. */
export function packVolterra(reserve: Reserve, weights: Float32Array, bias: Float32Array, channels: number): number {
  const vectors = VOLTERRA_MAPS * (1 + VOLTERRA_TAPS);
  const { address, values } = reserve(channels * vectors);
  for (let channel = 0; channel < channels; channel++) {
    const at = (channel - (channel % LANES)) * vectors + (channel % LANES);
    for (let map = 0; map < VOLTERRA_MAPS; map++) {
      const row = channel * VOLTERRA_MAPS + map;
      values[at + map * LANES] = bias[row]!;
      for (let tap = 0; tap < VOLTERRA_TAPS; tap++) {
        values[at + (VOLTERRA_MAPS * (1 + tap) + map) * LANES] = weights[row * VOLTERRA_TAPS + tap]!;
      }
    }
  }
  return address;
}
