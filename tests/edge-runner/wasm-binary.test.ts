import { describe, expect, it } from 'vitest';
import { importsSharedMemory, withImportedMemory } from '../../workers/edge-runner/build/wasm-binary.ts';

const HEADER = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const TYPES = [0x01, 0x04, 0x01, 0x60, 0x00, 0x00];
/** import "a" "f" (func 0) */
const IMPORT_FUNCTION = [0x01, 0x61, 0x01, 0x66, 0x00, 0x00];
/** export "m" (memory 0) */
const EXPORT_MEMORY = [0x07, 0x05, 0x01, 0x01, 0x6d, 0x02, 0x00];
const bytes = (...parts: readonly (readonly number[])[]): Uint8Array => Uint8Array.from(parts.flat());

describe('an imported memory', () => {
  const module = (flags: number): Uint8Array => {
    const memory = [0x01, 0x61, 0x01, 0x6d, 0x02, flags, 0x80, 0x02, 0x80, 0x80, 0x04];
    return bytes(HEADER, TYPES, [0x02, 1 + 6 + 11, 0x02], IMPORT_FUNCTION, memory);
  };

  it('is shared when its flags say so', () => {
    expect(importsSharedMemory(module(3))).toBe(true);
    expect(importsSharedMemory(module(1))).toBe(false);
    expect(importsSharedMemory(bytes(HEADER, TYPES))).toBe(false);
  });

  it('is looked for in WebAssembly only', () => {
    expect(() => importsSharedMemory(bytes([1, 2, 3, 4, 5, 6, 7, 8]))).toThrow();
  });
});

describe('a memory of the module', () => {
  // Minimum 258 pages, maximum 32768.
  const limits = [0x01, 0x82, 0x02, 0x80, 0x80, 0x02];
  const own = bytes(HEADER, TYPES, [0x02, 7, 0x01], IMPORT_FUNCTION, [0x05, 7, 0x01], limits, EXPORT_MEMORY);

  it('is imported instead, of the same limits, and still exported', () => {
    const name = (text: string): number[] => [text.length, ...new TextEncoder().encode(text)];
    const imported = [...name('deblur'), ...name('memory'), 0x02, ...limits];
    const importSection = [0x02, 7 + imported.length, 0x02, ...IMPORT_FUNCTION, ...imported];
    expect(withImportedMemory(own)).toEqual(bytes(HEADER, TYPES, importSection, EXPORT_MEMORY));
  });

  it.each([
    ['is not there', bytes(HEADER, TYPES, [0x02, 7, 0x01], IMPORT_FUNCTION)],
    ['is shared', bytes(HEADER, TYPES, [0x02, 7, 0x01], IMPORT_FUNCTION, [0x05, 4, 0x01, 0x03, 0x01, 0x02])],
    ['ends too early', own.subarray(0, 26)],
  ])('is an error when it %s', (_, wasm) => {
    expect(() => withImportedMemory(wasm)).toThrow();
  });
});
