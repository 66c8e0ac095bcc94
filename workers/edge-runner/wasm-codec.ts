/**
 * Pixels in and out of files: JPEG and WebP by MozJPEG and libwebp in WebAssembly, PNG by the runtime's own deflate
 * (png/). This Worker's only import of codecs.
 *
 * All modules share one memory (they are built for it, see build/): each use zeroes it and starts a fresh instance in
 * it. So four codecs cost the memory of the hungriest one, nothing waits for a garbage collector, and an instance that
 * aborted on a broken file is not used again.
 */
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import type { ImageHeader } from '@deblur/shared/image-header/index.ts';
import { refuseFilledGaps } from '@deblur/shared/image-header/libjpeg-warnings.ts';
import { EDGE_CODEC_MEMORY_MAX_BYTES } from '@deblur/shared/limits.ts';
import { decoderInput } from '@deblur/shared/metadata/decoder-input.ts';
import { assertFormatHolds } from '@deblur/shared/protocol/format-limits.ts';
import type { EncodeOptions, OutputFormat } from '@deblur/shared/protocol/options.ts';
import type { ImageCodec } from '@deblur/shared/pixels/ports.ts';
import { flattenOnWhite, type Channels, type RawImage } from '@deblur/shared/pixels/raw-image.ts';
import createJpegDecoder from '@jsquash/jpeg/codec/dec/mozjpeg_dec.js';
import createJpegEncoder from '@jsquash/jpeg/codec/enc/mozjpeg_enc.js';
import { defaultOptions as jpegDefaults } from '@jsquash/jpeg/meta.js';
import createWebpDecoder from '@jsquash/webp/codec/dec/webp_dec.js';
import createWebpEncoder from '@jsquash/webp/codec/enc/webp_enc_simd.js';
import { defaultOptions as webpDefaults } from '@jsquash/webp/meta.js';
import jpegDecodeWasm from './dist/wasm/jpeg-decode.wasm';
import jpegEncodeWasm from './dist/wasm/jpeg-encode.wasm';
import webpDecodeWasm from './dist/wasm/webp-decode.wasm';
import webpEncodeWasm from './dist/wasm/webp-encode.wasm';
import { decodePng } from './png/decode.ts';
import { encodePng } from './png/encode.ts';
import { MEMORY_IMPORT, WASM_PAGE_BYTES } from './wasm-memory.ts';

/** MozJPEG's J_COLOR_SPACE. */
const JPEG_GREYSCALE = 1;
const JPEG_YCBCR = 3;

/** libwebp's search for a small alpha plane takes up to 40 bytes a pixel: beyond this many pixels alpha is stored as it is. */
const WEBP_COMPRESSED_ALPHA_MAX_PIXELS = 512 * 512;

/** What the modules return for a picture: RGBA. */
interface DecodedRgba {
  readonly data: Uint8ClampedArray<ArrayBuffer>;
  readonly width: number;
  readonly height: number;
}

/** The part of Emscripten's module options that is used here. */
interface EmscriptenOptions {
  readonly noInitialRun: true;
  readonly locateFile: (path: string) => string;
  readonly print: (line: string) => void;
  readonly printErr: (line: string) => void;
  readonly instantiateWasm: (
    imports: WebAssembly.Imports,
    receive: (instance: WebAssembly.Instance) => void,
  ) => WebAssembly.Exports;
}

type EmscriptenFactory<Api> = (options: EmscriptenOptions) => Promise<Api>;

interface JpegDecoder {
  /** @param preserveOrientation turns the pixels by their EXIF orientation, in spite of its name */
  decode(bytes: Uint8Array, preserveOrientation: boolean): DecodedRgba | null;
}

interface WebpDecoder {
  decode(bytes: Uint8Array): DecodedRgba | null;
}

interface Encoder<Options> {
  encode(rgba: Uint8Array, width: number, height: number, options: Options): Uint8Array<ArrayBuffer> | null;
}

const jpegDecoder: EmscriptenFactory<JpegDecoder> = createJpegDecoder;
const jpegEncoder: EmscriptenFactory<Encoder<typeof jpegDefaults>> = createJpegEncoder;
const webpDecoder: EmscriptenFactory<WebpDecoder> = createWebpDecoder;
const webpEncoder: EmscriptenFactory<Encoder<typeof webpDefaults>> = createWebpEncoder;

/**
 * @param size in pixels, either way up
 * @throws {DeblurError} `invalid_option` when this Worker cannot write such a picture in the format
 */
export function assertEncodable({ width, height }: Pick<RawImage, 'width' | 'height'>, format: OutputFormat): void {
  if (format === 'avif') throw new DeblurError('invalid_option', 'format: avif is not written at the edge');
  assertFormatHolds(format, { width, height });
}

/** One use at a time: the memory is one. The restoration queue sees to that. */
export class WasmCodec implements ImageCodec {
  #memory: WebAssembly.Memory | undefined;

  async decode(file: Uint8Array, header: ImageHeader): Promise<RawImage> {
    const { format, channels } = header;
    if (header.bitDepth !== 8 || header.cmyk) throw notDecoded(header);
    if (format === 'png') return decodePng(file, header);
    if (format !== 'jpeg' && format !== 'webp') throw notDecoded(header);
    const bytes = decoderInput(file, header);
    const use =
      format === 'jpeg'
        ? this.#use(jpegDecoder, jpegDecodeWasm, (decoder) => decoder.decode(bytes, false))
        : this.#use(webpDecoder, webpDecodeWasm, (decoder) => decoder.decode(bytes));
    const { result, messages } = await use.catch((cause) => {
      throw new DeblurError('image_undecodable', `The ${format} data is broken.`, { cause });
    });
    refuseFilledGaps(messages);
    if (result?.width !== header.width || result.height !== header.height) {
      throw new DeblurError('image_undecodable', `The ${format} data is broken.`);
    }
    const { width, height } = header;
    return { width, height, channels, data: fromRgba(new Uint8Array(result.data.buffer), channels) };
  }

  async encode(image: RawImage, { format, quality }: EncodeOptions): Promise<Uint8Array> {
    if (format === 'png') return encodePng(image);
    assertEncodable(image, format);
    const result = await (
      format === 'jpeg' ? this.#encodeJpeg(image, quality) : this.#encodeWebp(image, quality)
    ).catch((cause) => {
      throw new DeblurError('runner_failed', `The ${format} encoder failed.`, { cause });
    });
    if (result === null || result.length === 0) {
      throw new DeblurError('runner_failed', `The ${format} encoder failed.`);
    }
    return result;
  }

  async #encodeJpeg(image: RawImage, quality: number): Promise<Uint8Array | null> {
    const { width, height } = image;
    const rgba = opaqueRgba(image);
    const options = {
      ...jpegDefaults,
      quality,
      color_space: image.channels <= 2 ? JPEG_GREYSCALE : JPEG_YCBCR,
      // Progressive files are 2 % smaller, and cost twice the time and 8 MiB more at 1 MP.
      progressive: false,
    };
    const { result } = await this.#use(jpegEncoder, jpegEncodeWasm, (encoder) =>
      encoder.encode(rgba, width, height, options),
    );
    return result;
  }

  async #encodeWebp(image: RawImage, quality: number): Promise<Uint8Array | null> {
    const { width, height } = image;
    const rgba = toRgba(image);
    const options = {
      ...webpDefaults,
      quality,
      // Colours under full transparency are kept. Alpha itself is lossless at the default alpha_quality of 100.
      exact: 1,
      low_memory: 1,
      alpha_compression: width * height <= WEBP_COMPRESSED_ALPHA_MAX_PIXELS ? 1 : 0,
    };
    const { result } = await this.#use(webpEncoder, webpEncodeWasm, (encoder) =>
      encoder.encode(rgba, width, height, options),
    );
    return result;
  }

  /** A fresh instance for one call. `messages` is what the C code printed. */
  async #use<Api, Result>(
    create: EmscriptenFactory<Api>,
    wasm: WebAssembly.Module,
    call: (api: Api) => Result,
  ): Promise<{ readonly result: Result; readonly messages: readonly string[] }> {
    const memory = this.#cleanMemory();
    const messages: string[] = [];
    const print = (line: string): void => {
      messages.push(line);
    };
    const api = await create({
      noInitialRun: true,
      locateFile: (path) => path,
      print,
      printErr: print,
      instantiateWasm: (imports, receive) => {
        const withMemory = { ...imports, [MEMORY_IMPORT.module]: { [MEMORY_IMPORT.name]: memory } };
        const instance = new WebAssembly.Instance(wasm, withMemory);
        receive(instance);
        return instance.exports;
      },
    });
    return { result: call(api), messages };
  }

  #cleanMemory(): WebAssembly.Memory {
    if (this.#memory === undefined) {
      const pages = EDGE_CODEC_MEMORY_MAX_BYTES / WASM_PAGE_BYTES;
      this.#memory = new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum: pages });
    } else {
      new Uint8Array(this.#memory.buffer).fill(0);
    }
    return this.#memory;
  }
}

/** The largest minimum that a module declares (MozJPEG's encoder): 16 MiB and its static data. */
const INITIAL_PAGES = 259;

function notDecoded({ format }: ImageHeader): DeblurError {
  return new DeblurError('unsupported_media_type', `This kind of ${format} picture is not decoded at the edge.`);
}

/** Drops what the picture has not: in place, so the array stays as large as RGBA. */
function fromRgba(rgba: Uint8Array, channels: Channels): Uint8Array {
  if (channels === 4) return rgba;
  const pixels = rgba.length / 4;
  for (let p = 0; p < pixels; p++) {
    for (let c = 0; c < channels; c++) rgba[p * channels + c] = rgba[p * 4 + c]!;
  }
  return rgba.subarray(0, pixels * channels);
}

/** A function of its own, so that the picture in between is garbage before anybody waits. */
function opaqueRgba(image: RawImage): Uint8Array {
  return toRgba(flattenOnWhite(image));
}

function toRgba({ width, height, channels, data }: RawImage): Uint8Array {
  if (!(data instanceof Uint8Array)) throw new TypeError('the edge writes 8-bit samples only');
  if (channels === 4) return data;
  const [green, blue] = channels >= 3 ? [1, 2] : [0, 0];
  const rgba = new Uint8Array(width * height * 4).fill(255);
  for (let source = 0, target = 0; source < data.length; source += channels, target += 4) {
    rgba[target] = data[source]!;
    rgba[target + 1] = data[source + green]!;
    rgba[target + 2] = data[source + blue]!;
    if (channels === 2) rgba[target + 3] = data[source + 1]!;
  }
  return rgba;
}
