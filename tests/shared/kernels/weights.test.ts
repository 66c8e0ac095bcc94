import { beforeAll, describe, expect, it } from 'vitest';
import { checkpoint, kernelSession } from '../support/kernels.ts';

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}
type Header = Record<string, Entry>;

let file: Uint8Array;

beforeAll(async () => {
  file = await checkpoint();
});

function headerOf(bytes: Uint8Array): { header: Header; values: Uint8Array } {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as Header;
  return { header, values: bytes.subarray(8 + length) };
}

function fileOf(header: object, values: Uint8Array): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + values.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(values, 8 + text.length);
  return bytes;
}

/** The weights with a header changed by `change`. */
function changed(change: (header: Header) => void): Uint8Array {
  const { header, values } = headerOf(file);
  change(header);
  return fileOf(header, values);
}

/** The same numbers as float32, one tensor after the other. */
function widened(): Uint8Array {
  const { header, values } = headerOf(file);
  const halves = new DataView(values.buffer, values.byteOffset, values.byteLength);
  const floats: number[] = [];
  const entries = Object.entries(header).filter(([name]) => name !== '__metadata__');
  const wide = entries.map(
    ([
      name,
      {
        shape,
        data_offsets: [start, end],
      },
    ]) => {
      const from = floats.length * 4;
      for (let at = start; at < end; at += 2) floats.push(halfValue(halves.getUint16(at, true)));
      return [name, { dtype: 'F32', shape, data_offsets: [from, floats.length * 4] }];
    },
  );
  return fileOf(Object.fromEntries(wide) as object, new Uint8Array(Float32Array.from(floats).buffer));
}

function halfValue(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const fraction = (bits & 1023) / 1024;
  const size = exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15);
  return bits >> 15 === 0 ? size : -size;
}

describe('weights', () => {
  it('may be float32 as well as float16', async () => {
    const tile = Uint8Array.from({ length: 32 * 32 * 3 }, (_, i) => (i * 37) % 256);
    const outputs = [];
    for (const weights of [file, widened()]) {
      const session = await kernelSession('relaxed', weights);
      outputs.push((await session.run({ width: 32, height: 32, data: tile.slice() })).data);
    }
    expect(outputs[1]).toEqual(outputs[0]);
    expect(outputs[0]).not.toEqual(tile);
  });

  it.each([
    ['nothing', () => new Uint8Array(0)],
    ['a header that is longer than the file', () => file.subarray(0, 1000)],
    ['values that end too early', () => file.subarray(0, file.length - 2)],
    ['no JSON', () => fileOf([], new Uint8Array(0)).fill(0x7b, 8)],
    ['a layer missing', () => changed((header) => delete header['middle.0.beta'])],
    ['a layer too many', () => changed((header) => (header['middle.0.other'] = header['middle.0.beta']!))],
    ['another shape', () => changed((header) => (header['ending.bias']!.shape = [13]))],
    ['another type', () => changed((header) => (header['ending.bias']!.dtype = 'BF16'))],
    ['an infinite value', () => withFirstHalf('ending.bias', 0x7c00)],
    ['a value that is not a number', () => withFirstHalf('ending.bias', 0x7e00)],
  ])('with %s are refused', async (_, weights) => {
    await expect(kernelSession('relaxed', weights())).rejects.toMatchObject({ code: 'runner_unavailable' });
  });
});

function withFirstHalf(name: string, bits: number): Uint8Array {
  const { header, values } = headerOf(file);
  const copy = values.slice();
  new DataView(copy.buffer).setUint16(header[name]!.data_offsets[0], bits, true);
  return fileOf(header, copy);
}
