/** Webhooks of the service, verified by the official library of Standard Webhooks. */
import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import type { Prediction } from '../client/types.ts';

export { WebhookVerificationError };

/** The body of a webhook: the prediction as it was at the event. */
export interface PredictionWebhook extends Prediction {
  readonly type: `prediction.${'start' | 'output' | 'logs' | 'completed'}`;
  readonly timestamp: string;
}

export interface VerifiedWebhook {
  /** The same for every attempt: a receiver that has seen it does nothing. */
  readonly id: string;
  readonly event: PredictionWebhook;
}

export type WebhookHeaders = Headers | Readonly<Record<string, string | readonly string[] | undefined>>;

const HEADERS = ['webhook-id', 'webhook-timestamp', 'webhook-signature'] as const;

/**
 * Whether a message came from the service, and came now.
 * @param body the bytes as they came, before anything parsed them
 * @param headers a Fetch `Headers`, or Node's `request.headers`
 * @param secrets `whsec_…`; two of them while a secret is rotated
 * @throws {WebhookVerificationError} for a message that is forged, too old or without its headers; answer it with 401
 */
export function verifyWebhook(
  body: string | Uint8Array,
  headers: WebhookHeaders,
  secrets: string | readonly string[],
): VerifiedWebhook {
  const text = typeof body === 'string' ? body : new TextDecoder().decode(body);
  const signed = Object.fromEntries(HEADERS.map((name) => [name, headerOf(headers, name)]));
  const all = [secrets].flat();
  if (all.length === 0) throw new TypeError('verifyWebhook needs a secret');
  let failure: unknown;
  for (const secret of all) {
    try {
      const event = new Webhook(secret).verify(text, signed) as PredictionWebhook;
      return { id: signed['webhook-id'] ?? '', event };
    } catch (error) {
      if (!(error instanceof WebhookVerificationError)) throw error;
      failure = error;
    }
  }
  throw failure;
}

function headerOf(headers: WebhookHeaders, name: string): string {
  const value = headers instanceof Headers ? headers.get(name) : headers[name];
  return typeof value === 'string' ? value : '';
}
