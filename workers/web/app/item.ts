/** One photo of the list, and what happens to it. */
import type { Settings } from './settings.ts';

/** What is being done right now. Bytes and tiles count up to their total; a total of 0 is unknown. */
export type Activity =
  | { readonly kind: 'uploading'; readonly done: number; readonly total: number }
  | { readonly kind: 'queued' }
  | { readonly kind: 'pausing'; readonly seconds: number; readonly attempt: number }
  | { readonly kind: 'model'; readonly done: number; readonly total: number }
  | { readonly kind: 'starting'; readonly provider: 'webgpu' | 'wasm' }
  | { readonly kind: 'tiles'; readonly done: number; readonly total: number }
  | { readonly kind: 'writing' };

export const CACHE_STATES = ['hit', 'miss', 'coalesced'] as const;
export type CacheState = (typeof CACHE_STATES)[number];

export type Placement = 'edge' | 'runner' | 'device';

/** How much the restoration changed the picture, 0 to 255. */
export interface Change {
  readonly mean: number;
  readonly max: number;
}

export type Verdict = 'restored' | 'already_sharp' | 'beyond_model';

export interface Outcome {
  readonly picture: Blob;
  /** The model that ran, as `name@version`; null when the service does not say. */
  readonly model: string | null;
  readonly placement: Placement | null;
  /** What computed it on this device, such as `WebGPU`; null elsewhere. */
  readonly engine: string | null;
  readonly cache: CacheState | null;
  readonly milliseconds: number;
  /** Path of the stored result on this origin. */
  readonly link: string | null;
  /** The picture was restored at 1/scale of its size. */
  readonly scale: number | null;
  readonly change: Change | null;
  readonly verdict: Verdict | null;
  readonly notes: readonly DeviceNote[];
}

/** What a person should know about a result of this device. */
export type DeviceNote = 'eight-bits' | 'png-instead';

export interface Failure {
  /** A code of the service, or one of the page's own. */
  readonly code: string;
  /** In English, from the service; null when the page's own text says everything. */
  readonly detail: string | null;
  readonly requestId: string | null;
  /** The same photo with the same settings may succeed later. */
  readonly retryable: boolean;
}

/** Thrown by whatever restores. */
export class RestoreError extends Error {
  override readonly name = 'RestoreError';
  readonly failure: Failure;

  constructor(failure: Failure, options?: ErrorOptions) {
    super(`${failure.code}: ${failure.detail ?? ''}`, options);
    this.failure = failure;
  }
}

/** A failure that the page itself found. */
export function ownFailure(code: string, retryable: boolean, detail: string | null = null): Failure {
  return { code, detail, requestId: null, retryable };
}

export type Work =
  | { readonly kind: 'waiting' }
  | {
      readonly kind: 'running';
      readonly activity: Activity;
      readonly startedAt: number;
      /** Path of the prediction once the service has one: a reload continues from it. */
      readonly prediction: string | null;
    }
  | { readonly kind: 'done'; readonly outcome: Outcome }
  | { readonly kind: 'failed'; readonly failure: Failure }
  | { readonly kind: 'stopped' };

export interface Item {
  readonly id: string;
  readonly name: string;
  /** The photo as it was given. */
  readonly source: Blob;
  /** Milliseconds since the epoch. */
  readonly addedAt: number;
  /** The settings of the newest run. */
  readonly settings: Settings;
  /** Counts the runs. Reports of an older run change nothing. */
  readonly run: number;
  readonly work: Work;
}

export function newItem(name: string, source: Blob, settings: Settings): Item {
  return {
    id: crypto.randomUUID(),
    name,
    source,
    addedAt: Date.now(),
    settings,
    run: 0,
    work: { kind: 'waiting' },
  };
}
