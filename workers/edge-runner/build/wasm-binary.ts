/**
 * Reads and edits a WebAssembly binary's memory declaration (WebAssembly Core 2.0 § 5.5: a module is a list of sections,
 * each an id, a LEB128 length and a body). Everything else is copied byte for byte.
 */

import { MEMORY_IMPORT } from '../wasm-memory.ts';

const IMPORT_SECTION = 2;
const MEMORY_SECTION = 5;
const MEMORY_KIND = 2;
const HAS_MAXIMUM = 1;
const SHARED = 2;

const HEADER_BYTES = 8;
const MAGIC = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00] as const;

interface Section {
  readonly id: number;
  /** The body lies at `start`..`end` of the file. */
  readonly start: number;
  readonly end: number;
}

interface Limits {
  readonly minimum: number;
  readonly maximum: number | undefined;
}

/**
 * Turns a memory that the module makes for itself into one imported as MEMORY_IMPORT, of the same limits, so that several modules can
 * use one memory in turn. It may still be exported: glue code that looks there finds the imported one.
 * @throws {Error} when the module does not define exactly one unshared memory and import none
 */
export function withImportedMemory(wasm: Uint8Array): Uint8Array {
  const sections = readSections(wasm);
  const memory = sections.find(({ id }) => id === MEMORY_SECTION);
  if (memory === undefined || importedMemoryFlags(wasm).length > 0) {
    throw new Error('the module does not define a memory of its own');
  }
  const declared = readMemory(wasm, memory);
  const imports = sections.find(({ id }) => id === IMPORT_SECTION);
  if (imports === undefined) throw new Error('the module has no import section');
  const pieces: Uint8Array[] = [wasm.subarray(0, HEADER_BYTES)];
  for (const section of sections) {
    if (section === memory) continue;
    const body = wasm.subarray(section.start, section.end);
    pieces.push(sectionBytes(section.id, section === imports ? withImport(body, declared) : body));
  }
  return concatenate(pieces);
}

/** Whether the module wants its memory to be shared, which the Workers runtime does not promise to have. */
export function importsSharedMemory(wasm: Uint8Array): boolean {
  return importedMemoryFlags(wasm).some((at) => (wasm[at]! & SHARED) !== 0);
}

function readMemory(wasm: Uint8Array, section: Section): Limits {
  const reader = new Reader(wasm, section.start);
  const count = reader.leb();
  const flags = reader.byte();
  if (count !== 1 || (flags & ~HAS_MAXIMUM) !== 0) throw new Error('the memory is shared, 64-bit or not the only one');
  const minimum = reader.leb();
  return { minimum, maximum: flags & HAS_MAXIMUM ? reader.leb() : undefined };
}

function withImport(body: Uint8Array, { minimum, maximum }: Limits): Uint8Array {
  const reader = new Reader(body, 0);
  const count = reader.leb();
  const limits = maximum === undefined ? [0, ...leb(minimum)] : [HAS_MAXIMUM, ...leb(minimum), ...leb(maximum)];
  const entry = [...name(MEMORY_IMPORT.module), ...name(MEMORY_IMPORT.name), MEMORY_KIND, ...limits];
  return concatenate([Uint8Array.from(leb(count + 1)), body.subarray(reader.at), Uint8Array.from(entry)]);
}

/** Where in the file the limits' flag bytes of imported memories lie. */
function importedMemoryFlags(wasm: Uint8Array): number[] {
  const section = readSections(wasm).find(({ id }) => id === IMPORT_SECTION);
  if (section === undefined) return [];
  const reader = new Reader(wasm, section.start);
  const found: number[] = [];
  for (let left = reader.leb(); left > 0; left--) {
    reader.skipName();
    reader.skipName();
    const kind = reader.byte();
    if (kind === MEMORY_KIND) found.push(reader.at);
    reader.skipImportType(kind);
  }
  return found;
}

function readSections(wasm: Uint8Array): Section[] {
  if (!MAGIC.every((byte, i) => wasm[i] === byte)) throw new Error('not a WebAssembly 1 binary');
  const reader = new Reader(wasm, HEADER_BYTES);
  const sections: Section[] = [];
  while (reader.at < wasm.length) {
    const id = reader.byte();
    const length = reader.leb();
    sections.push({ id, start: reader.at, end: reader.at + length });
    reader.at += length;
  }
  return sections;
}

class Reader {
  readonly #bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  byte(): number {
    const value = this.#bytes[this.at++];
    if (value === undefined) throw new Error('the module ends too early');
    return value;
  }

  /** Unsigned LEB128, up to 32 bits. */
  leb(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new Error('a number is too long');
  }

  skipName(): void {
    const length = this.leb();
    this.at += length;
  }

  skipLimits(): void {
    const flags = this.byte();
    this.leb();
    if (flags & HAS_MAXIMUM) this.leb();
  }

  skipImportType(kind: number): void {
    if (kind === 0) this.leb();
    else if (kind === 1) {
      this.byte();
      this.skipLimits();
    } else if (kind === MEMORY_KIND) this.skipLimits();
    else if (kind === 3) this.at += 2;
    else throw new Error(`unknown kind of import ${kind}`);
  }
}

function sectionBytes(id: number, body: Uint8Array): Uint8Array {
  return concatenate([Uint8Array.from([id, ...leb(body.length)]), body]);
}

function leb(value: number): number[] {
  const low = value % 128;
  const rest = Math.floor(value / 128);
  return rest === 0 ? [low] : [low | 0x80, ...leb(rest)];
}

function name(text: string): number[] {
  const bytes = [...new TextEncoder().encode(text)];
  return [...leb(bytes.length), ...bytes];
}

function concatenate(pieces: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
