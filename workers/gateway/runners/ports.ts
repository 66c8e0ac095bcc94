/** What a placement is asked to do, what it says, and the internal URLs that it is given. */
import type { WireError } from '@deblur/shared/protocol/errors.ts';
import type { EncodeOptions, ModelName, WorkingScale } from '@deblur/shared/protocol/options.ts';
import type { RestoreReport, ServedModel } from '@deblur/shared/protocol/runner-api.ts';
import type { TraceContext } from '@deblur/shared/protocol/trace-context.ts';
import type { UploadGrant } from '../results/runner-uploads.ts';
import type { ResultMetadata, RestorationFacts } from '../results/stored-result.ts';

/** One inference, by plain data: it is stored with the job and crosses RPC. */
export interface RestorationTask {
  readonly restorationKey: string;
  readonly resultKey: string;
  readonly sourceKey: string;
  readonly model: ModelName;
  readonly modelVersion: string;
  readonly tile?: number;
  /** Missing in jobs of version 0.1.0. */
  readonly workingScale?: WorkingScale;
  readonly encoding: EncodeOptions;
  /** Null in jobs of version 0.1.0. */
  readonly restoration: RestorationFacts | null;
  /** The version of the tombstone that the request found in the result's place, and may replace. */
  readonly replaces?: string;
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
export type RunnerOperation =
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
 * Every method but `health` throws DeblurError: `runner_busy` (surely not taken), `runner_unavailable` (perhaps
 * taken, perhaps not), `runner_failed`; with `retryAfterSeconds` when the runner named it.
 */
export interface RemoteRunner extends Part {
  /** The name that `begin` will give the prediction of this attempt; null when the runner names it. */
  idOf(work: RunnerOperation, attempt: number): string | null;
  /** Hands the work over, and the trace with it. Twice with one attempt is once, where the name is ours. */
  begin(work: RunnerOperation, attempt: number, trace?: TraceContext): Promise<RemoteState>;
  /** Null when it does not know the prediction: it never came there, or died with its runner. */
  look(id: string): Promise<RemoteState | null>;
  /** Ends it; one that is over or unknown stays so. */
  cancel(id: string): Promise<void>;
}

export interface PartHealth {
  readonly ready: boolean;
  /** The part's own word (READY, BUSY, STARTING, SETUP_FAILED, …), or UNREACHABLE. */
  readonly status: string;
  /** Of a runner that says so: what it serves, and how fast. */
  readonly models?: readonly ServedModel[];
}

/** Which attempt at which task a runner's callback speaks of. */
export interface CallbackAddress {
  readonly restorationKey: string;
  readonly resultKey: string;
  readonly attempt: number;
}

/**
 * What one internal URL allows: reading one source or master, storing one master or result under exactly this key, or
 * telling how one attempt goes.
 */
export type InternalGrant =
  | { readonly purpose: 'read'; readonly kind: 'source' | 'master'; readonly key: string }
  | (UploadGrant & {
      readonly purpose: 'write';
      /** The largest part of an upload in parts; without it there is only the one PUT. */
      readonly partBytes?: number | undefined;
    })
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
