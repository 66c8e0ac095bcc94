/** How this Worker and its build (build/) agree about WebAssembly memory. */
export declare const WASM_PAGE_BYTES = 65536;
/** The name under which the codecs' modules import their memory. */
export declare const MEMORY_IMPORT: {
  readonly module: 'deblur';
  readonly name: 'memory';
};
