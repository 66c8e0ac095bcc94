/** What webhooks need from the world. */
import type { AttemptError } from './delivery-ports.ts';
import type { Counts } from '../metrics/ports.ts';

/** One attempt of one message. */
export interface WebhookAttempt {
  /** `webhook-id`: the same for every attempt. */
  readonly id: string;
  readonly url: string;
  readonly body: string;
}

export interface AttemptOutcome {
  /** Null when there was no answer. */
  readonly status: number | null;
  readonly latencyMs: number;
  readonly retryAfterSeconds: number | null;
  /** Why there was no answer, in a word for the delivery log; null when there was one. */
  readonly error: AttemptError | null;
}

export interface WebhookSender {
  /** Never throws: whatever goes wrong is an outcome. */
  send(attempt: WebhookAttempt): Promise<AttemptOutcome>;
}

export interface DeliveryPorts {
  readonly sender: WebhookSender;
  readonly stats: Counts;
  /** In [0, 1). */
  readonly random: () => number;
}
