/** Builds what is missing or older than its package or these scripts. */
export declare function buildWasm(): Promise<void>;
