/** What a job is asked, and what it answers and tells. */
import type { WireError } from '@deblur/shared/protocol/errors.ts';
import type { RestoreReport } from '@deblur/shared/protocol/runner-api.ts';
import type { TraceContext } from '@deblur/shared/protocol/trace-context.ts';
import { parseStored, type Placement } from '../results/stored-result.ts';
import type { Counts, JobGauge } from '../metrics/ports.ts';
import type { ResultStore } from '../results/result-store.ts';
import type {
  CallbackAddress,
  Progress,
  RemoteRunner,
  RemoteState,
  RestorationTask,
  Restorer,
} from '../runners/ports.ts';
import type { DispatchMessage } from './dispatch-queue.ts';

/** What a request wants of the job of its RestorationKey. */
export interface JobRequest {
  readonly task: RestorationTask;
  readonly placement: Placement;
  /** Where further encodings of the master are made. */
  readonly encodePlacement: Placement;
  /** Of the request that the work is done for first. */
  readonly trace?: TraceContext;
}

/** Parses a request that a job or a prediction stored; requests of version 0.1.0 name their source by its digest. */
export function storedJobRequest(text: string): JobRequest {
  const request = parseStored<JobRequest & { task: { sourceDigest?: string } }>(text);
  const { sourceDigest = '', ...task } = request.task;
  return {
    ...request,
    task: { ...task, sourceKey: task.sourceKey ?? sourceDigest, restoration: task.restoration ?? null },
  };
}

/** `miss`: this request's inference. `coalesced`: another request's, waited for. `hit`: no inference ran. */
export type CacheStatus = 'hit' | 'miss' | 'coalesced';

/** How a finished job was done; times in milliseconds. */
export interface JobReport {
  readonly cache: CacheStatus;
  readonly queueMs: number;
  readonly runMs: number;
  /** Absent when no inference ran for this encoding. */
  readonly restore?: RestoreReport;
}

/** Failures travel as values, because exceptions lose their class over RPC. */
export type JobReply =
  { readonly ok: true; readonly report: JobReport } | { readonly ok: false; readonly error: WireError };

/** A prediction that follows a job. */
export interface Subscription {
  readonly subscriberId: string;
  /** Milliseconds since the epoch. The latest deadline of all who follow bounds the work. */
  readonly deadlineAt: number;
}

/** What a job tells its subscribers. `startedAt` in milliseconds since the epoch. */
export type JobEvent =
  | { readonly type: 'processing'; readonly startedAt: number }
  | ({ readonly type: 'progress' } & Progress)
  | { readonly type: 'succeeded'; readonly report: JobReport }
  | { readonly type: 'failed'; readonly error: WireError };

export interface Jobs {
  /**
   * Resolves when the result is stored. The work goes on when the caller leaves.
   * @param waiter what the request becomes when it waits no longer: from then on the work goes on for that prediction, until
   * it leaves
   * @throws {DeblurError} why it failed
   */
  obtain(request: JobRequest, waiter?: Subscription): Promise<JobReport>;
  /**
   * Joins the job and returns at once; idempotent by (resultKey, subscriberId). From then on the job tells the subscriber
   * (`Subscribers`), at least once and in order, up to exactly one terminal event.
   * @returns whether this is what set the work going
   */
  submit(request: JobRequest, subscription: Subscription): Promise<{ readonly started: boolean }>;
  /** The prediction follows no longer; idempotent. The last one that leaves cancels the work, unless another `obtain` asked too. */
  leave(restorationKey: string, resultKey: string, subscriberId: string): Promise<void>;
  /** A runner's callback; idempotent, in any order. */
  report(address: CallbackAddress, said: RemoteState): Promise<void>;
}

/** The way from a job to the predictions that follow it. Resolves when the prediction has taken the event. */
export interface Subscribers {
  notify(subscriberId: string, resultKey: string, sequence: number, event: JobEvent): Promise<void>;
}

// ---- What surrounds a job --------------------------------------------------------------------

export interface JobPorts {
  readonly results: Pick<ResultStore, 'head' | 'unerase'>;
  readonly restorers: { readonly edge: Restorer; readonly runner: RemoteRunner };
  readonly subscribers: Subscribers;
  readonly stats: Counts & JobGauge;
  /** Sends the message that brings refused work back. */
  readonly callBack: (message: DispatchMessage, delaySeconds: number) => Promise<void>;
}

/** What the object lends: the clock, the alarm and the storage. */
export interface JobHost {
  readonly sql: SqlStorage;
  readonly now: () => number;
  readonly setAlarm: (at: number) => void;
  readonly waitUntil: (work: Promise<unknown>) => void;
  readonly deleteAll: () => Promise<void>;
}
