/** How this Worker and its build (build/) agree about WebAssembly memory. */

export const WASM_PAGE_BYTES = 65_536;

/** The name under which the codecs' modules import their memory. */
export const MEMORY_IMPORT = { module: 'deblur', name: 'memory' } as const;
