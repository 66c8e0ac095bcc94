/** What the decisions need from the world. `store/`, `runners/` and `jobs/` implement these; `deps.ts` joins them. */
import type { WireError } from '@deblur/shared/protocol/errors.ts';
import type { ImageHeader } from '@deblur/shared/image-header/index.ts';
import type { EncodeOptions, ModelName } from '@deblur/shared/protocol/options.ts';
import type { RestoreReport } from '@deblur/shared/protocol/runner-api.ts';
import type { TraceContext } from '@deblur/shared/protocol/trace-context.ts';
import type { ResultParts } from './part-ports.ts';

// ---- Callers -----------------------------------------------------------------------------------

export type Scope = 'create' | 'read' | 'delete' | 'admin';

/** On whose behalf a request runs: predictions, files and references to results belong to one tenant. */
export interface Tenant {
  readonly id: string;
  /** `local`: everybody on one's own machine. `anonymous`: no key, smaller limits. `key`: an API key's owner. */
  readonly tier: 'local' | 'anonymous' | 'key';
  readonly scopes: ReadonlySet<Scope>;
}

/** Where a restoration runs. */
export type Placement = 'edge' | 'gpu';

// ---- Sources -----------------------------------------------------------------------------------

/** An upload that has arrived and is hashed; it is kept only when somebody needs it. */
export interface ReceivedSource {
  /** SHA-256 of the bytes, hexadecimal. */
  readonly digest: string;
  readonly bytes: number;
  readonly header: ImageHeader;
  /**
   * Stores it under its digest for the runner; twice is once.
   * @param options `anew`: for its whole retention from now on, however long it has been there
   */
  keep(options?: { readonly anew?: boolean }): Promise<void>;
  /** Removes what was written while it arrived. Never fails, and does nothing after `keep`. */
  discard(): Promise<void>;
}

export interface SourceStore {
  /**
   * Takes an upload in: small ones in memory, larger ones through storage while they are hashed.
   * @throws {DeblurError} `empty_body`, `body_too_large`, and what the header says against it; nothing is left behind
   */
  receive(chunks: AsyncIterable<Uint8Array>): Promise<ReceivedSource>;
  /** The bytes of a kept source; null when it has expired. */
  open(digest: string): Promise<StoredBody | null>;
}

export interface StoredBody {
  readonly size: number;
  readonly body: ReadableStream<Uint8Array>;
  bytes(): Promise<Uint8Array>;
}

// ---- Results -----------------------------------------------------------------------------------

/** What is known of a stored result or master. */
export interface ResultMetadata {
  readonly model: ModelName;
  readonly modelVersion: string;
  readonly placement: Placement;
}

export interface StoredResult extends ResultMetadata {
  readonly key: string;
  readonly size: number;
  readonly contentType: string;
  /** SHA-256 of the bytes. */
  readonly sha256: Uint8Array;
  readonly storedAt: Date;
}

/** First and last byte, both included. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/** Which of the two kinds of stored pictures: encoded bytes by ResultKey, lossless masters by RestorationKey. */
export type ResultKind = 'result' | 'master';

export interface ResultStore extends ResultParts {
  /** Null when it is unknown or its retention has passed. */
  head(kind: ResultKind, key: string): Promise<StoredResult | null>;
  get(kind: ResultKind, key: string, range?: ByteRange): Promise<(StoredResult & StoredBody) | null>;
  /** Stores unless the key is taken: equal keys mean equal bytes, so the first stays. */
  put(kind: ResultKind, key: string, bytes: Uint8Array, contentType: string, metadata: ResultMetadata): Promise<void>;
  /**
   * The same from a stream of known length.
   * @param sha256 of the bytes; another one is refused
   * @throws {DeblurError} `malformed_request` when the bytes are not what was announced
   */
  putStream(kind: ResultKind, key: string, upload: ResultUpload, metadata: ResultMetadata): Promise<void>;
  /** Frees the key; caches may still have the bytes. */
  delete(kind: ResultKind, key: string): Promise<void>;
}

export interface ResultUpload {
  readonly body: ReadableStream<Uint8Array>;
  readonly contentType: string;
  readonly sha256: Uint8Array;
}

// ---- Runners -----------------------------------------------------------------------------------

/** One inference, by plain data: it is stored with the job and crosses RPC. */
export interface RestorationTask {
  readonly restorationKey: string;
  readonly resultKey: string;
  readonly sourceDigest: string;
  readonly model: ModelName;
  readonly modelVersion: string;
  readonly tile?: number;
  readonly encoding: EncodeOptions;
}

/** The same master in another format; no inference. */
export interface EncodingTask {
  readonly restorationKey: string;
  readonly resultKey: string;
  readonly encoding: EncodeOptions;
  /** The master's own: its encodings inherit it. */
  readonly metadata: ResultMetadata;
}

/** What a placement is asked to do. */
export type Work =
  | { readonly operation: 'restore'; readonly task: RestorationTask }
  | { readonly operation: 'encode'; readonly task: EncodingTask };

/** What health asks of a placement. */
export interface Part {
  /** Whether it would take work now; never throws. */
  health(): Promise<PartHealth>;
}

/** A placement within reach of one call. Both methods resolve when what they made is stored. */
export interface Restorer extends Part {
  /** Stores the master and one encoding of it. */
  restore(task: RestorationTask): Promise<RestoreReport>;
  /** Stores one more encoding of a stored master. */
  encode(task: EncodingTask): Promise<void>;
}

/** How far a restoration is, in tiles. */
export interface Progress {
  readonly done: number;
  readonly total: number;
}

/** What a remote runner says of one prediction. `id` is its own name for it. */
export type RemoteState =
  | { readonly status: 'starting' | 'processing'; readonly id: string; readonly progress?: Progress }
  | { readonly status: 'succeeded'; readonly id: string; readonly report: RestoreReport }
  | { readonly status: 'failed'; readonly id: string; readonly error: WireError }
  | { readonly status: 'canceled'; readonly id: string };

/**
 * A placement that works on by itself: it is handed the work, tells how it goes by callback, and can be asked.
 * Every method but `health` and `read` throws DeblurError: `runner_busy` (surely not taken), `runner_unavailable` (perhaps
 * taken, perhaps not), `runner_failed`; with `retryAfterSeconds` when the runner named it.
 */
export interface RemoteRunner extends Part {
  /** The name that `begin` will give the prediction of this attempt; null when the runner names it. */
  idOf(work: Work, attempt: number): string | null;
  /** Hands the work over, and the trace with it. Twice with one attempt is once, where the name is ours. */
  begin(work: Work, attempt: number, trace?: TraceContext): Promise<RemoteState>;
  /** Null when it does not know the prediction: it never came there, or died with its runner. */
  look(id: string): Promise<RemoteState | null>;
  /** Ends it; one that is over or unknown stays so. */
  cancel(id: string): Promise<void>;
  /** The body of a callback. @throws {DeblurError} `malformed_request` */
  read(body: unknown): RemoteState;
}

export interface PartHealth {
  readonly ready: boolean;
  /** The part's own word (READY, BUSY, STARTING, SETUP_FAILED, …), or UNREACHABLE. */
  readonly status: string;
}

// ---- Jobs --------------------------------------------------------------------------------------

/** What a request wants of the job of its RestorationKey. */
export interface JobRequest {
  readonly task: RestorationTask;
  readonly placement: Placement;
  /** Where further encodings of the master are made. */
  readonly encodePlacement: Placement;
  /** Of the request that the work is done for first. */
  readonly trace?: TraceContext;
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
  readonly predictionId: string;
  /** Milliseconds since the epoch. The latest deadline of all who follow bounds the work. */
  readonly deadlineAt: number;
}

/** What a job tells its subscribers. `startedAt` in milliseconds since the epoch. */
export type JobEvent =
  | { readonly type: 'processing'; readonly startedAt: number }
  | ({ readonly type: 'progress' } & Progress)
  | { readonly type: 'succeeded'; readonly report: JobReport }
  | { readonly type: 'failed'; readonly error: WireError };

/** Which attempt at which task a runner's callback speaks of. */
export interface CallbackAddress {
  readonly restorationKey: string;
  readonly resultKey: string;
  readonly attempt: number;
}

export interface Jobs {
  /**
   * Resolves when the result is stored. The work goes on when the caller leaves.
   * @param waiter what the request becomes when it waits no longer: from then on the work goes on for that prediction, until
   * it leaves
   * @throws {DeblurError} why it failed
   */
  obtain(request: JobRequest, waiter?: Subscription): Promise<JobReport>;
  /**
   * Joins the job and returns at once; idempotent by (resultKey, predictionId). From then on the job tells the subscriber
   * (`Subscribers`), at least once and in order, up to exactly one terminal event.
   * @returns whether this is what set the work going
   */
  submit(request: JobRequest, subscription: Subscription): Promise<{ readonly started: boolean }>;
  /** The prediction follows no longer; idempotent. The last one that leaves cancels the work, unless another `obtain` asked too. */
  leave(restorationKey: string, resultKey: string, predictionId: string): Promise<void>;
  /** A runner's callback; idempotent, in any order. */
  report(address: CallbackAddress, said: RemoteState): Promise<void>;
}

/** The way from a job to the predictions that follow it. Resolves when the prediction has taken the event. */
export interface Subscribers {
  notify(predictionId: string, resultKey: string, sequence: number, event: JobEvent): Promise<void>;
}

// ---- Signed URLs for the runner ----------------------------------------------------------------

/**
 * What one signed URL allows: reading one source or master, storing one master or result under exactly this key, or
 * telling how one attempt goes.
 */
export type InternalGrant =
  | { readonly purpose: 'read'; readonly kind: 'source' | 'master'; readonly key: string }
  | {
      readonly purpose: 'write';
      readonly kind: ResultKind;
      readonly key: string;
      readonly contentType: string;
      readonly metadata: ResultMetadata;
      /** The largest part of an upload in parts; without it there is only the one PUT. */
      readonly partBytes?: number | undefined;
    }
  | ({ readonly purpose: 'callback' } & CallbackAddress);

export interface InternalUrls {
  /** The absolute URL, at the origin by which the runner reaches us. */
  sign(grant: InternalGrant): Promise<string>;
  /** @throws {DeblurError} `forbidden`, whatever is wrong with the token */
  verify(token: string): Promise<InternalGrant>;
  /** The id of an upload in parts that this token began, so that no other is taken for it. */
  signUpload(token: string, id: string): Promise<string>;
  /** @throws {DeblurError} `forbidden` */
  verifyUpload(token: string, signed: string): Promise<string>;
}
