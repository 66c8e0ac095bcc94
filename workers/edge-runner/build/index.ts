/**
 * Writes the WebAssembly modules that this Worker runs into dist/wasm/: those of the npm packages with their memory
 * declaration changed (see wasm-binary.ts). `node build/index.ts`; it does nothing when they are up to date.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { withImportedMemory } from './wasm-binary.ts';

interface Edit {
  readonly source: string;
  readonly target: string;
  readonly edit: (wasm: Uint8Array) => Uint8Array;
}

const EDITS: readonly Edit[] = [
  { source: '@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm', target: 'jpeg-decode.wasm', edit: withImportedMemory },
  { source: '@jsquash/jpeg/codec/enc/mozjpeg_enc.wasm', target: 'jpeg-encode.wasm', edit: withImportedMemory },
  { source: '@jsquash/webp/codec/dec/webp_dec.wasm', target: 'webp-decode.wasm', edit: withImportedMemory },
  { source: '@jsquash/webp/codec/enc/webp_enc_simd.wasm', target: 'webp-encode.wasm', edit: withImportedMemory },
];

const { resolve } = createRequire(import.meta.url);
const directory = new URL('../dist/wasm/', import.meta.url);

function isCurrent(target: URL, inputs: readonly URL[]): boolean {
  if (!existsSync(target)) return false;
  const built = statSync(target).mtimeMs;
  return inputs.every((input) => statSync(input).mtimeMs <= built && statSync(input).ctimeMs <= built);
}

/** Builds what is missing or older than its package or these scripts. */
export async function buildWasm(): Promise<void> {
  const scripts = [new URL('index.ts', import.meta.url), new URL('wasm-binary.ts', import.meta.url)];
  mkdirSync(directory, { recursive: true });
  for (const { source, target, edit } of EDITS) {
    const input = pathToFileURL(resolve(source));
    const output = new URL(target, directory);
    if (isCurrent(output, [input, ...scripts])) continue;
    const wasm = edit(readFileSync(input));
    await WebAssembly.compile(wasm as Uint8Array<ArrayBuffer>);
    // Written aside and renamed: a reader never sees half a module.
    const partial = new URL(`${target}.${process.pid}.partial`, directory);
    writeFileSync(partial, wasm);
    renameSync(partial, output);
    console.log(`built ${fileURLToPath(output)}`);
  }
}

if (import.meta.main) await buildWasm();
