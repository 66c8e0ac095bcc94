/** A picture in, the restored picture out. */
import { DeblurError } from './errors.ts';
import { Files } from './files.ts';
import type { Picture } from './picture.ts';
import { Predictions, type CreateOptions, type WaitOptions } from './predictions.ts';
import { Transport, type ClientOptions } from './transport.ts';
import type { Prediction, PredictionMetrics } from './types.ts';

export interface DeblurOptions extends CreateOptions, WaitOptions {
  /** From the call to the last byte; 10 minutes by default. The prediction is cancelled when the time has passed. */
  readonly timeoutMs?: number;
}

export interface DeblurResult {
  /** The file of the restored picture. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Its media type. */
  readonly type: string;
  readonly metrics: PredictionMetrics;
  /** Where the service keeps the restored picture. */
  readonly url: string;
  readonly prediction: Prediction;
}

const DEFAULT_TIMEOUT_MS = 600_000;

/** One service, for as many calls as you like. */
export class Deblur {
  readonly predictions: Predictions;
  readonly files: Files;
  readonly #transport: Transport;

  /** @throws {TypeError} without an address of the service */
  constructor(options: ClientOptions = {}) {
    this.#transport = new Transport(options);
    this.predictions = new Predictions(this.#transport);
    this.files = new Files(this.#transport);
  }

  /**
   * Restores a picture and fetches the result.
   * @throws {DeblurError} with the code of what went wrong, `client_timeout` when `timeoutMs` passed
   * @throws {TypeError} for what is no picture; the reason of the caller's signal
   */
  async deblur(picture: Picture, options: DeblurOptions = {}): Promise<DeblurResult> {
    const { timeoutMs = DEFAULT_TIMEOUT_MS, onProgress } = options;
    const late = new AbortController();
    const timeout = new DeblurError('client_timeout', `The picture was not restored within ${timeoutMs} ms.`);
    const timer = setTimeout(() => late.abort(timeout), timeoutMs);
    const signal = options.signal === undefined ? late.signal : AbortSignal.any([options.signal, late.signal]);
    try {
      const created = await this.predictions.create(picture, { ...options, signal });
      return await this.#finished(created, { signal, onProgress });
    } finally {
      clearTimeout(timer);
    }
  }

  async #finished(created: Prediction, { signal, onProgress }: WaitOptions): Promise<DeblurResult> {
    try {
      const prediction = await this.predictions.wait(created.id, { signal, onProgress });
      if (prediction.output === null) throw new DeblurError('gone', 'The result is no longer stored.', { prediction });
      const response = await this.#transport.download(prediction.output, signal);
      const bytes = new Uint8Array(await response.arrayBuffer());
      const type = response.headers.get('content-type') ?? 'application/octet-stream';
      return { bytes, type, metrics: prediction.metrics, url: prediction.output, prediction };
    } catch (error) {
      // Nobody waits for the result any more. The caller is told why at once, not after another request.
      if (signal?.aborted) this.predictions.cancel(created.id).catch(() => undefined);
      throw error;
    }
  }
}

/** `new Deblur(options).deblur(picture, options)`, for a single call. */
export function deblur(picture: Picture, options: DeblurOptions & ClientOptions = {}): Promise<DeblurResult> {
  return new Deblur(options).deblur(picture, options);
}
