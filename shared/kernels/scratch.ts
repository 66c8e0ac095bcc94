/**
 * Addresses that the kernels (scripts/kernels) and their caller agree about. A load from a constant address needs no bounds check,
 * so what an inner loop reads most often is copied here first.
 */

/** Input vectors of one step of a matrix product: PANEL_VECTORS for each of up to 6 pixels. */
export const PANEL_ADDRESS = 1_024;
/** Vectors of four channels that one step of a matrix product takes in from each pixel. */
export const PANEL_VECTORS = 8;

/** Weights of a depth-wise filter for four channels: at most 171 vectors. */
export const FILTER_ADDRESS = 2_048;

/** Where `widen` leaves the four largest sizes that it has met, as bits. */
export const LARGEST_ADDRESS = 512;

/** The first byte that is the caller's. */
export const SCRATCH_END = 8_192;

/** Of one linear memory; the modules declare this many at least. */
export const WASM_PAGE_BYTES = 65_536;

/** The name under which the modules import their memory. */
export const MEMORY_IMPORT = { module: 'deblur', name: 'memory' } as const;
