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
    /** 256×256×3: a blurred crop, and what onnxruntime-node makes of it. */
    goldenTile: { readonly input: string; readonly output: string };
    /** Fixtures of tests/fixtures/fidelity as libvips decodes them. */
    goldenPictures: readonly GoldenPicture[];
  }
}
