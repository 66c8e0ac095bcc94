/** One prediction's life in memory, and what the wire shows of it. */
import { hash } from 'node:crypto';
import { ERRORS, type WireError } from '@deblur/shared/protocol/errors.ts';
import type { ModelManifest } from '@deblur/shared/protocol/model-manifest.ts';
import type { ModelName, OutputFormat } from '@deblur/shared/protocol/options.ts';
import {
  formatGpuError,
  type gpuInputSchema,
  type gpuOutputSchema,
  type RestoreReport,
} from '@deblur/shared/protocol/runner-api.ts';
import type { z } from 'zod';
import type { Trace } from '../ops/trace.ts';

export type PredictionInput = z.output<typeof gpuInputSchema>;

/** A file for a caller that gave no upload URL. */
export interface OutputFile {
  readonly format: OutputFormat;
  readonly bytes: Uint8Array;
}

/** What was uploaded where. */
export type UploadedOutput = z.output<typeof gpuOutputSchema>;

/** Cog's and Replicate's words. */
export type PredictionStatus = 'starting' | 'processing' | 'succeeded' | 'failed' | 'canceled';

/** Cog's webhook events; `logs` is our progress. */
export const PREDICTION_EVENTS = ['start', 'output', 'logs', 'completed'] as const;
export type PredictionEvent = (typeof PREDICTION_EVENTS)[number];

export interface Progress {
  readonly done: number;
  readonly total: number;
}

/** What a prediction is at one moment: Replicate's object, as Cog answers with it. `progress` is ours. */
export interface RunnerPredictionSnapshot {
  readonly id: string;
  readonly status: PredictionStatus;
  readonly model: ModelName | null;
  readonly version: string | null;
  readonly input: PredictionInput;
  /** On the wire a file is a data URI. */
  readonly output: OutputFile | UploadedOutput | null;
  readonly error: string | null;
  /** One line in tqdm's manner, which Replicate's clients read progress from. */
  readonly logs: string;
  /** `predict_time` in seconds, and the report's milliseconds and counts. */
  readonly metrics: Partial<RestoreReport> & { readonly predict_time?: number };
  readonly progress: Progress | null;
  readonly created_at: string;
  readonly started_at: string | null;
  readonly completed_at: string | null;
}

/** The reason of an abort by the caller, as opposed to one by a deadline or by the runner's own end. */
export class Canceled extends Error {
  override readonly name = 'Canceled';
}

export class Prediction {
  readonly id: string;
  readonly trace: Trace;
  /** Without the payload of a data URI: megabytes that the caller has already, and that nobody needs twice. */
  readonly input: PredictionInput;
  readonly #fingerprint: string;
  readonly #controller = new AbortController();
  readonly #createdAt = new Date();
  readonly #finished = Promise.withResolvers<undefined>();
  readonly #listeners: ((event: PredictionEvent) => void)[] = [];
  #startedAt: Date | undefined;
  #completedAt: Date | undefined;
  #status: PredictionStatus = 'starting';
  #output: OutputFile | UploadedOutput | null = null;
  #error: WireError | undefined;
  #model: ModelManifest | undefined;
  #report: RestoreReport | undefined;
  #progress: Progress | null = null;

  constructor(id: string, input: PredictionInput, trace: Trace) {
    this.id = id;
    this.trace = trace;
    this.input = { ...input, image: withoutPayload(input.image) };
    this.#fingerprint = fingerprintOf(input);
  }

  /** Whether the same was asked: then a repetition of the request gets the same answer. */
  asks(input: PredictionInput): boolean {
    return this.#fingerprint === fingerprintOf(input);
  }

  /** Whether it failed in a way that the same request need not fail in again. */
  get mayBeRetried(): boolean {
    return this.#error !== undefined && ERRORS[this.#error.code].retryable;
  }

  /** @param listener called with each event as it happens, the snapshot being what it then is */
  subscribe(listener: (event: PredictionEvent) => void): void {
    this.#listeners.push(listener);
  }

  /** Aborted by `cancel` and by `expire`. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Settles when the prediction is terminal; never rejects. */
  get finished(): Promise<undefined> {
    return this.#finished.promise;
  }

  get status(): PredictionStatus {
    return this.#status;
  }

  get completedAt(): Date | undefined {
    return this.#completedAt;
  }

  get error(): WireError | undefined {
    return this.#error;
  }

  get model(): ModelManifest | undefined {
    return this.#model;
  }

  /** What was made, when it was not uploaded. */
  get file(): OutputFile | undefined {
    return isFile(this.#output) ? this.#output : undefined;
  }

  /** Takes effect between tiles; nothing happens when it is over already. */
  requestCancel(): void {
    this.#controller.abort(new Canceled('The prediction was canceled.'));
  }

  /** Aborts with a failure, such as a deadline. */
  abort(reason: Error): void {
    this.#controller.abort(reason);
  }

  start(): void {
    if (this.#status !== 'starting') return;
    this.#startedAt = new Date();
    this.#status = 'processing';
    this.#emit('start');
  }

  setModel(model: ModelManifest): void {
    this.#model = model;
  }

  setProgress(done: number, total: number): void {
    this.#progress = { done, total };
    if (this.#status === 'processing') this.#emit('logs');
  }

  succeed(output: OutputFile | UploadedOutput, report: RestoreReport): void {
    if (this.#completedAt !== undefined) return;
    this.#output = output;
    this.#report = report;
    this.#emit('output');
    this.#finish('succeeded');
  }

  fail(error: WireError): void {
    if (this.#completedAt !== undefined) return;
    this.#error = error;
    this.#finish('failed');
  }

  markCanceled(): void {
    if (this.#completedAt === undefined) this.#finish('canceled');
  }

  snapshot(): RunnerPredictionSnapshot {
    return {
      id: this.id,
      status: this.#status,
      model: this.#model?.name ?? null,
      version: this.#model?.version ?? null,
      input: this.input,
      output: this.#output,
      error: this.#error === undefined ? null : formatGpuError(this.#error),
      logs: this.#progress === null ? '' : progressLine(this.#progress),
      metrics: this.metrics,
      progress: this.#progress,
      created_at: this.#createdAt.toISOString(),
      started_at: this.#startedAt?.toISOString() ?? null,
      completed_at: this.#completedAt?.toISOString() ?? null,
    };
  }

  get metrics(): RunnerPredictionSnapshot['metrics'] {
    return { ...this.#predictTime(), ...this.#report };
  }

  #predictTime(): { predict_time?: number } {
    if (this.#startedAt === undefined || this.#completedAt === undefined) return {};
    return { predict_time: (this.#completedAt.getTime() - this.#startedAt.getTime()) / 1000 };
  }

  #finish(status: PredictionStatus): void {
    this.#status = status;
    this.#completedAt = new Date();
    this.#emit('completed');
    this.#finished.resolve(undefined);
  }

  #emit(event: PredictionEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

function fingerprintOf(input: PredictionInput): string {
  return hash('sha256', JSON.stringify(input));
}

function withoutPayload(image: string): string {
  return /^data:/i.test(image) ? `${image.slice(0, Math.min(image.indexOf(',') + 1, 64))}…` : image;
}

export function isFile(output: OutputFile | UploadedOutput | null): output is OutputFile {
  return output !== null && 'bytes' in output;
}

const BAR_WIDTH = 20;

function progressLine({ done, total }: Progress): string {
  const filled = Math.floor((BAR_WIDTH * done) / total);
  const percent = String(Math.floor((100 * done) / total)).padStart(3);
  return `${percent}%|${'#'.repeat(filled).padEnd(BAR_WIDTH)}| ${done}/${total} tiles\n`;
}
