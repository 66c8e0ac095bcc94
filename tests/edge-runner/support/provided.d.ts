import 'vitest';

/** Pixels as text: the channel from Node to workerd carries JSON. */
export interface GoldenPicture {
  readonly file: string;
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly base64: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    /** A blurred crop of the tile's size, RGB, and what onnxruntime-node makes of it. */
    goldenTile: { readonly size: number; readonly input: string; readonly output: string };
    /** Fixtures of tests/fixtures/fidelity as libvips decodes them. */
    goldenPictures: readonly GoldenPicture[];
  }
}
