/** mulberry32: the same numbers for the same seed, in [0, 1). */
export declare function randomFrom(seed: number): () => number;
/** A whole number in [0, bound). */
export declare function below(random: () => number, bound: number): number;
