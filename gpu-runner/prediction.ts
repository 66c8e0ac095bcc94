/** One prediction's life in memory, and what the wire shows of it. */
import { hash } from 'node:crypto';
import type { WireError } from '@deblur/shared/errors.ts';
import type { ModelManifest } from '@deblur/shared/model-manifest.ts';
import type { ModelName } from '@deblur/shared/options.ts';
import {
  formatGpuError,
  type gpuInputSchema,
  type gpuOutputSchema,
  type RestoreReport,
} from '@deblur/shared/runner-api.ts';
import type { z } from 'zod';

export type PredictionInput = z.output<typeof gpuInputSchema>;

/** A data URI, or what was uploaded where. */
export type PredictionOutput = string | z.output<typeof gpuOutputSchema>;

/** Cog's and Replicate's words. */
export type PredictionStatus = 'starting' | 'processing' | 'succeeded' | 'failed' | 'canceled';

/** Replicate's prediction object, as Cog answers with it; `progress` is ours. */
export interface PredictionView {
  readonly id: string;
  readonly status: PredictionStatus;
  readonly model: ModelName | null;
  readonly version: string | null;
  readonly input: PredictionInput;
  readonly output: PredictionOutput | null;
  readonly error: string | null;
  readonly logs: string;
  /** `predict_time` in seconds, and the report's milliseconds and counts. */
  readonly metrics: Partial<RestoreReport> & { readonly predict_time?: number };
  readonly progress: { readonly done: number; readonly total: number } | null;
  readonly created_at: string;
  readonly started_at: string | null;
  readonly completed_at: string | null;
}

/** The reason of an abort by the caller, as opposed to one by a deadline. */
export class Canceled extends Error {
  override readonly name = 'Canceled';
}

export class Prediction {
  readonly id: string;
  /** Without the payload of a data URI: megabytes that the caller has already, and that nobody needs twice. */
  readonly input: PredictionInput;
  readonly #fingerprint: string;
  readonly #controller = new AbortController();
  readonly #createdAt = new Date();
  readonly #finished = Promise.withResolvers<undefined>();
  #startedAt: Date | undefined;
  #completedAt: Date | undefined;
  #status: PredictionStatus = 'starting';
  #output: PredictionOutput | null = null;
  #error: string | null = null;
  #model: ModelManifest | undefined;
  #report: RestoreReport | undefined;
  #progress: { done: number; total: number } | null = null;

  constructor(id: string, input: PredictionInput) {
    this.id = id;
    this.input = { ...input, image: withoutPayload(input.image) };
    this.#fingerprint = fingerprintOf(input);
  }

  /** Whether the same was asked: then a repetition of the request gets the same answer. */
  asks(input: PredictionInput): boolean {
    return this.#fingerprint === fingerprintOf(input);
  }

  /** Aborted by `cancel` and by `expire`. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Settles when the prediction is terminal; never rejects. */
  get finished(): Promise<undefined> {
    return this.#finished.promise;
  }

  get completedAt(): Date | undefined {
    return this.#completedAt;
  }

  get outputChars(): number {
    return typeof this.#output === 'string' ? this.#output.length : 0;
  }

  /** Takes effect between tiles; nothing happens when it is over already. */
  cancel(): void {
    this.#controller.abort(new Canceled('The prediction was canceled.'));
  }

  /** Aborts with a failure, such as a deadline. */
  expire(reason: Error): void {
    this.#controller.abort(reason);
  }

  start(): void {
    this.#startedAt = new Date();
    this.#status = 'processing';
  }

  chose(model: ModelManifest): void {
    this.#model = model;
  }

  progressed(done: number, total: number): void {
    this.#progress = { done, total };
  }

  succeed(output: PredictionOutput, report: RestoreReport): void {
    this.#output = output;
    this.#report = report;
    this.#finish('succeeded');
  }

  fail(error: WireError): void {
    this.#error = formatGpuError(error);
    this.#finish('failed');
  }

  canceled(): void {
    this.#finish('canceled');
  }

  view(): PredictionView {
    return {
      id: this.id,
      status: this.#status,
      model: this.#model?.name ?? null,
      version: this.#model?.version ?? null,
      input: this.input,
      output: this.#output,
      error: this.#error,
      logs: '',
      metrics: { ...this.#predictTime(), ...this.#report },
      progress: this.#progress,
      created_at: this.#createdAt.toISOString(),
      started_at: this.#startedAt?.toISOString() ?? null,
      completed_at: this.#completedAt?.toISOString() ?? null,
    };
  }

  #predictTime(): { predict_time?: number } {
    if (this.#startedAt === undefined || this.#completedAt === undefined) return {};
    return { predict_time: (this.#completedAt.getTime() - this.#startedAt.getTime()) / 1000 };
  }

  #finish(status: PredictionStatus): void {
    this.#status = status;
    this.#completedAt = new Date();
    this.#finished.resolve(undefined);
  }
}

function fingerprintOf(input: PredictionInput): string {
  return hash('sha256', JSON.stringify(input));
}

function withoutPayload(image: string): string {
  return /^data:/i.test(image) ? `${image.slice(0, Math.min(image.indexOf(',') + 1, 64))}…` : image;
}
