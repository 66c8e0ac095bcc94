/** Reads a safetensors file: eight bytes with the length of a JSON header, the header, the values. */
import { DeblurError } from '../protocol/errors.ts';

/** A header of ours has 40 kB, half of it the history of the training. */
const HEADER_MAX_BYTES = 1_000_000;

interface Entry {
  readonly dtype: 'F16' | 'F32';
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/** The values of binary16 numbers, little-endian; null when one is not finite. */
export type Widen = (halves: Uint8Array) => Float32Array | null;

/** The tensors of one file, each of which is asked for once. */
export class Safetensors {
  readonly #file: Uint8Array;
  readonly #valuesAt: number;
  readonly #entries: Map<string, Entry>;
  readonly #widen: Widen;

  /** @throws {DeblurError} `runner_unavailable` when the bytes are not a safetensors file */
  constructor(file: Uint8Array, widen: Widen) {
    this.#file = file;
    this.#widen = widen;
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
    const stored = this.#file.subarray(start, end);
    const values = dtype === 'F16' ? this.#widen(stored) : floatsOf(stored);
    if (values === null) throw unusable(`${name} has a value that is not finite`);
    return values;
  }
}

/** Every platform that runs WebAssembly SIMD is little-endian, as the file is. A copy is aligned. */
function floatsOf(stored: Uint8Array): Float32Array | null {
  const values = new Float32Array(new Uint8Array(stored).buffer);
  return values.every((value) => Number.isFinite(value)) ? values : null;
}

function parseHeader(bytes: Uint8Array): Record<string, Entry> {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as Record<string, Entry>;
  } catch (cause) {
    throw unusable('the header is not JSON', cause);
  }
}

export function unusable(why: string, cause?: unknown): DeblurError {
  return new DeblurError('runner_unavailable', `The weights cannot be used: ${why}.`, { cause });
}
