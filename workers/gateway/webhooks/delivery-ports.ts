/** The webhooks of a prediction: what is sent, and the log of it. */

export type DeliveryType = 'prediction.start' | 'prediction.output' | 'prediction.logs' | 'prediction.completed';
export type DeliveryState = 'pending' | 'sending' | 'delivered' | 'exhausted' | 'disabled' | 'superseded';

/** A row of the delivery log. Times in milliseconds since the epoch. */
export interface Delivery {
  readonly n: number;
  readonly webhookId: string;
  readonly type: DeliveryType;
  readonly url: string;
  readonly state: DeliveryState;
  readonly createdAt: number;
  readonly nextAttemptAt: number | null;
  readonly attempts: readonly DeliveryAttempt[];
}

export interface DeliveryAttempt {
  readonly at: number;
  readonly status: number | null;
  readonly latencyMs: number;
  readonly error: AttemptError | null;
}

export interface DeliveryEvent {
  readonly type: DeliveryType;
  readonly url: string;
  readonly body: string;
}

/** Why an attempt had no answer. */
export type AttemptError = 'timeout' | 'connection_failed' | 'url_refused' | 'not_signed';

/** `unknown`: there is no such delivery, or it is still under way. `gone`: what was sent was removed. */
export type ReplayOutcome = 'replayed' | 'unknown' | 'gone';

/** The deliveries of one prediction, in the storage of its object and driven by its alarm. */
export interface DeliveryQueue {
  enqueue(event: DeliveryEvent, now: number): void;
  /** Milliseconds since the epoch; null when nothing waits. */
  nextAttemptAt(): number | null;
  runDue(now: number): Promise<void>;
  list(): readonly Delivery[];
  replay(n: number, now: number): ReplayOutcome;
  /** Leaves the log, and removes what was sent from all that is not under way. */
  removeBodies(): void;
}
