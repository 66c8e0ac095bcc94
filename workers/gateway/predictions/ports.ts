/** What predictions need from the world, and what they are to the requests. */
import type { Prediction, PredictionInput, PredictionList, WebhookEvent } from '@deblur/shared/protocol/prediction.ts';
import type { RateAccount } from '../tenants/access-ports.ts';
import type { Delivery, ReplayOutcome } from '../webhooks/delivery-ports.ts';
import type { Options } from '@deblur/shared/protocol/options.ts';
import type { TraceContext } from '@deblur/shared/protocol/trace-context.ts';
import type { JobRequest } from '../jobs/ports.ts';
import type { ResultMetadata } from '../results/stored-result.ts';

// ---- Predictions -------------------------------------------------------------------------------

/** Plain data: it crosses RPC and is stored. */
export type PredictionSource =
  /** Fetched once the create was answered. */
  | { readonly kind: 'url'; readonly url: string }
  /** `result`: what is known of the result when it is there already; otherwise the source is kept. */
  | {
      readonly kind: 'planned';
      readonly job: JobRequest;
      readonly megapixels: number;
      readonly result: Pick<ResultMetadata, 'placement'> | null;
    };

export interface PredictionCommand {
  readonly tenantId: string;
  /** Whose the result is. */
  readonly scope: string;
  /** Charged for what a source costs beyond what was paid when its size was not known. */
  readonly account: RateAccount;
  readonly id: string;
  /** Equal for equal requests: what an idempotent create is compared by. */
  readonly fingerprint: string;
  /** What makes `urls.stream` an address that only those know who were given it. */
  readonly streamSecret: string;
  /** The origin that the prediction's URLs have. */
  readonly origin: string;
  /** Of the request that created it: its work and its webhooks belong to it. */
  readonly trace?: TraceContext;
  readonly model: string;
  readonly modelVersion: string;
  readonly options: Options;
  /** As it is shown. */
  readonly input: PredictionInput;
  readonly source: PredictionSource;
  readonly deadlineSeconds: number;
  readonly webhook: string | null;
  readonly webhookEvents: readonly WebhookEvent[] | null;
}

/** A create before anything is paid or stored for it. */
export type PredictionDraft = Omit<PredictionCommand, 'source'>;

/** By what a create may find that it was made before. */
export interface Repeatable {
  readonly idempotencyKey: string | null;
  /** The caller chose the draft's id, and may have used it. */
  readonly idIsChosen: boolean;
}

/** `new`: nothing was made for this create, and it may be made by this id. */
export type Reservation =
  { readonly kind: 'new'; readonly id: string } | { readonly kind: 'existing'; readonly snapshot: PredictionSnapshot };

/** A prediction at one moment. */
export interface PredictionSnapshot {
  /** Grows with every change. */
  readonly revision: number;
  /** The revision with which its work began; null before. */
  readonly startedRevision: number | null;
  readonly prediction: Prediction;
}

export interface CreatedPrediction {
  readonly snapshot: PredictionSnapshot;
  /** False: there was one already, by the same id or the same idempotency key. */
  readonly created: boolean;
}

/** A tenant sees its own predictions only; null everywhere means that it has none by this id. */
export interface Predictions {
  /**
   * Looks for a prediction that an equal create has made, and claims the idempotency key.
   * @throws {DeblurError} `idempotency_key_reused`, `idempotency_conflict`
   */
  reserve(draft: PredictionDraft, repeatable: Repeatable): Promise<Reservation>;
  /**
   * Makes a reserved prediction; of two equal creates at the same moment the second finds the first.
   * @throws {DeblurError} `idempotency_key_reused`
   */
  create(command: PredictionCommand, repeatable: Repeatable): Promise<CreatedPrediction>;
  /** Gives up a reservation whose prediction could not be made. */
  release(draft: PredictionDraft, repeatable: Repeatable): Promise<void>;
  read(tenantId: string, id: string): Promise<PredictionSnapshot | null>;
  /**
   * The next change after a revision, or the prediction as it is after `ms`.
   * @param after null: the next change that counts is the end
   */
  next(tenantId: string, id: string, after: number | null, ms: number): Promise<PredictionSnapshot | null>;
  cancel(tenantId: string, id: string): Promise<PredictionSnapshot | null>;
  list(tenantId: string, cursor: string | null): Promise<PredictionPage>;
  /** The webhooks that were sent for it, and how. */
  deliveries(tenantId: string, id: string): Promise<readonly Delivery[] | null>;
  /** Sends one again. */
  replay(tenantId: string, id: string, n: number): Promise<ReplayOutcome | null>;
}

export interface PredictionPage {
  /** Cursors of the neighbouring pages. */
  readonly previous: string | null;
  readonly next: string | null;
  readonly results: PredictionList['results'];
}
