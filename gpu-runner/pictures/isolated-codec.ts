/** sharp-codec.ts in a process of its own, so that a step ends when its picture is cancelled or when it takes too long. */
import { type DeblurError, pictureUndecodable, runnerFailed } from '@deblur/shared/protocol/errors.ts';
import type { ImageHeader } from '@deblur/shared/image-header/index.ts';
import type { Metadata } from '@deblur/shared/metadata/index.ts';
import type { RawImage } from '@deblur/shared/pixels/raw-image.ts';
import type { EncodeOptions } from '@deblur/shared/protocol/options.ts';
import { CODEC_TIMEOUT_BASE_MS, CODEC_TIMEOUT_MS_PER_MEGAPIXEL, LARGE_PIXELS } from '../limits.ts';
import { CallTimeoutError, ProcessPool } from '../threads/process-pool.ts';
import type { CodecRequest, CodecSteps } from './codec-steps.ts';

/** The codec processes of this picture thread. */
const processes = new ProcessPool<CodecRequest, unknown>(new URL('./codec-process.ts', import.meta.url));

/** The steps for one picture. */
export class IsolatedCodec implements CodecSteps {
  readonly #pixels: number;
  readonly #signal: AbortSignal;

  /**
   * @param header of the picture: its pixels say how long a step may take
   * @param signal its abort ends the step that runs, at once
   */
  constructor({ width, height }: ImageHeader, signal: AbortSignal) {
    this.#pixels = width * height;
    this.#signal = signal;
  }

  /** @throws {DeblurError} as sharpCodec.decode; `image_undecodable` when it takes too long; the signal's reason */
  decode(bytes: Uint8Array, header: ImageHeader): Promise<RawImage> {
    return this.#read('decode', bytes, header);
  }

  /** @throws {DeblurError} as sharpCodec.encode; `runner_failed` when it takes too long; the signal's reason */
  encode(image: RawImage, options: EncodeOptions): Promise<Uint8Array> {
    return this.#write('encode', image, options);
  }

  avifFromPng(png: Uint8Array, carried: Metadata, quality: number): Promise<Uint8Array> {
    return this.#write('avifFromPng', png, carried, quality);
  }

  #read: Call = (step, ...args) =>
    this.#call(step, args, (cause) => pictureUndecodable('picture', 'decoding it takes too long', cause));

  #write: Call = (step, ...args) => this.#call(step, args, (cause) => runnerFailed('encoder_time', cause));

  async #call<Step extends keyof CodecSteps>(
    step: Step,
    args: Parameters<CodecSteps[Step]>,
    tooLong: (cause: Error) => DeblurError,
  ): Promise<Awaited<ReturnType<CodecSteps[Step]>>> {
    const timeoutMs = CODEC_TIMEOUT_BASE_MS + CODEC_TIMEOUT_MS_PER_MEGAPIXEL * Math.ceil(this.#pixels / 1e6);
    const options = { signal: this.#signal, timeoutMs, last: this.#pixels > LARGE_PIXELS };
    try {
      const reply = await processes.call({ step, args } as CodecRequest, options);
      return reply as Awaited<ReturnType<CodecSteps[Step]>>;
    } catch (error) {
      throw error instanceof CallTimeoutError ? tooLong(error) : error;
    }
  }
}

type Call = <Step extends keyof CodecSteps>(
  step: Step,
  ...args: Parameters<CodecSteps[Step]>
) => Promise<Awaited<ReturnType<CodecSteps[Step]>>>;
