/**
 * Two edits of a WebAssembly binary's memory declaration (WebAssembly Core 2.0 § 5.5: a module is a list of sections,
 * each an id, a LEB128 length and a body). Everything else is copied byte for byte.
 */
/**
 * Turns an imported shared memory into an imported unshared one: one flag of one byte. Atomic instructions stay valid on
 * unshared memory; only waiting traps, and one thread never waits.
 * @throws {Error} when the module does not import exactly one shared memory: another release of ONNX Runtime
 */
export declare function withUnsharedMemory(wasm: Uint8Array): Uint8Array;
/**
 * Turns a memory that the module makes for itself into one imported as MEMORY_IMPORT, of the same limits, so that several modules can
 * use one memory in turn. It may still be exported: glue code that looks there finds the imported one.
 * @throws {Error} when the module does not define exactly one unshared memory and import none
 */
export declare function withImportedMemory(wasm: Uint8Array): Uint8Array;
