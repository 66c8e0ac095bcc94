/** Reads a safetensors file: eight bytes with the length of a JSON header, the header, the values. */
import { DeblurError } from '../protocol/errors.ts';

/** A header of ours has 40 kB, half of it the history of the training. */
const HEADER_MAX_BYTES = 1_000_000;

interface Entry {
  readonly dtype: 'F16' | 'F32';
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/** The tensors of one file, each of which is asked for once. */
export class Safetensors {
  readonly #file: Uint8Array;
  readonly #valuesAt: number;
  readonly #entries: Map<string, Entry>;

  /** @throws {DeblurError} `runner_unavailable` when the bytes are not a safetensors file */
  constructor(file: Uint8Array) {
    this.#file = file;
    const headerBytes = file.length < 8 ? 0 : Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
    if (headerBytes === 0 || headerBytes > Math.min(HEADER_MAX_BYTES, file.length - 8)) throw unusable('no header');
    this.#valuesAt = 8 + headerBytes;
    this.#entries = new Map(Object.entries(parseHeader(file.subarray(8, this.#valuesAt))));
    this.#entries.delete('__metadata__');
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /** Names that nobody has asked for. */
  get left(): string[] {
    return [...this.#entries.keys()];
  }

  /** @throws {DeblurError} `runner_unavailable` when the file has no such tensor */
  shapeOf(name: string): readonly number[] {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw unusable(`no tensor ${name}`);
    return entry.shape;
  }

  /** @throws {DeblurError} `runner_unavailable` when the file has no such tensor, or not of this shape in float16 or float32 */
  take(name: string, shape: readonly number[]): Float32Array {
    const found = this.shapeOf(name);
    if (found.length !== shape.length || found.some((side, i) => side !== shape[i])) {
      throw unusable(`${name} is ${found.join('×')} where the kernels take ${shape.join('×')}`);
    }
    const { dtype, data_offsets: offsets } = this.#entries.get(name)!;
    this.#entries.delete(name);
    if (dtype !== 'F16' && dtype !== 'F32') throw unusable(`${name} is ${String(dtype)}`);
    const start = this.#valuesAt + offsets[0];
    const end = this.#valuesAt + offsets[1];
    const bytes = shape.reduce((product, side) => product * side, dtype === 'F16' ? 2 : 4);
    if (end - start !== bytes || end > this.#file.length)
      throw unusable(`${name} has ${end - start} bytes of ${bytes}`);
    // A copy of its own is aligned, wherever the tensor lies. Every platform that runs WebAssembly SIMD is little-endian.
    const { buffer } = new Uint8Array(this.#file.subarray(start, end));
    const values = dtype === 'F32' ? new Float32Array(buffer) : widened(new Uint16Array(buffer));
    requireFinite(name, values);
    return values;
  }
}

function parseHeader(bytes: Uint8Array): Record<string, Entry> {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as Record<string, Entry>;
  } catch (cause) {
    throw unusable('the header is not JSON', cause);
  }
}

/**
 * IEEE 754 binary16 to binary32. The exponent moves to its place and is 112 too small there, which a multiplication mends, for
 * subnormal numbers, too. Infinity and NaN become 2¹⁶ and more, which no other half is.
 */
function widened(halves: Uint16Array): Float32Array<ArrayBuffer> {
  const values = new Float32Array(halves.length);
  const bits = new Uint32Array(values.buffer);
  for (let i = 0; i < halves.length; i++) {
    const half = halves[i]!;
    bits[i] = ((half & 0x8000) << 16) | ((half & 0x7fff) << 13);
  }
  for (let i = 0; i < values.length; i++) values[i]! *= 2 ** 112;
  return values;
}

/** No weight is 2¹⁶ or more; NaN is not below it either. */
function requireFinite(name: string, values: Float32Array): void {
  for (let i = 0; i < values.length; i++) {
    if (!(Math.abs(values[i]!) < 2 ** 16)) throw unusable(`${name} has a value that is not a weight`);
  }
}

export function unusable(why: string, cause?: unknown): DeblurError {
  return new DeblurError('runner_unavailable', `The weights cannot be used: ${why}.`, { cause });
}
