/**
 * HEIC → pixels by libheif and libde265, compiled to WebAssembly (libheif-js). This is the only file that loads them, and only when the
 * first HEIC comes: sharp's libheif has no HEVC decoder, because of its patents (see NOTICE).
 */
import { createRequire } from 'node:module';
import { heicNotDecoded } from '@deblur/shared/protocol/errors.ts';
import type { ImageHeader } from '@deblur/shared/image-header/index.ts';
import type { RawImage } from '@deblur/shared/pixels/raw-image.ts';

interface Rgba {
  readonly data: Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
}

/** The part of the module that is used here. */
interface HeifImage {
  is_primary(): boolean;
  get_width(): number;
  get_height(): number;
  /** Calls back with the picture, cropped and turned as its boxes say, with 8 bits a sample; with null when decoding failed. */
  display(target: Rgba, done: (picture: Rgba | null) => void): void;
  free(): void;
}

interface Libheif {
  readonly HeifDecoder: new () => { decode(bytes: Uint8Array): HeifImage[] };
}

const require = createRequire(import.meta.url);
let loaded: Libheif | undefined;

/**
 * @param header what readImageHeader said of the same bytes
 * @throws {DeblurError} `unsupported_media_type` for what the decoder cannot read, or dies of
 */
export async function decodeHeic(bytes: Uint8Array, { width, height, channels }: ImageHeader): Promise<RawImage> {
  const rgba = await primaryPicture(bytes, { width, height }).catch((cause: unknown) => {
    // The memory of a module that aborted is not to be trusted: the next picture gets a new module.
    loaded = undefined;
    throw heicNotDecoded(cause);
  });
  const data = new Uint8Array(rgba.buffer, rgba.byteOffset, rgba.length);
  return { width, height, channels, data: channels === 4 ? data : withoutAlpha(data) };
}

async function primaryPicture(bytes: Uint8Array, size: Pick<Rgba, 'width' | 'height'>): Promise<Uint8ClampedArray> {
  loaded ??= require('libheif-js/wasm-bundle') as Libheif;
  const images = new loaded.HeifDecoder().decode(bytes);
  try {
    const primary = images.find((image) => image.is_primary());
    if (primary?.get_width() !== size.width || primary.get_height() !== size.height) {
      throw new Error('the primary picture is missing, or of another size than its header says');
    }
    const target = { data: new Uint8ClampedArray(size.width * size.height * 4), ...size };
    const picture = await new Promise<Rgba | null>((resolve) => primary.display(target, resolve));
    if (picture === null) throw new Error('libheif could not decode the picture');
    return picture.data;
  } finally {
    for (const image of images) image.free();
  }
}

/** In place: the array stays as large as RGBA. */
function withoutAlpha(rgba: Uint8Array): Uint8Array {
  const pixels = rgba.length / 4;
  for (let p = 0; p < pixels; p++) {
    for (let c = 0; c < 3; c++) rgba[3 * p + c] = rgba[4 * p + c]!;
  }
  return rgba.subarray(0, 3 * pixels);
}
