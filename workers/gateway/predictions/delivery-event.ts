/** What a webhook is told. */
import type { WebhookEvent } from '@deblur/shared/protocol/prediction.ts';
import type { DeliveryEvent } from '../webhooks/delivery-ports.ts';
import { presentPrediction, type PredictionRecord } from './present-prediction.ts';

/** The delivery of an event, with the prediction as it is; null when nobody asked to be told. */
export function deliveryOf(record: PredictionRecord, event: WebhookEvent, now: number): DeliveryEvent | null {
  const { webhook, webhookEvents } = record;
  if (webhook === null || !wanted(webhookEvents, event)) return null;
  const type = `prediction.${event}` as const;
  const timestamp = new Date(now).toISOString();
  return { type, url: webhook, body: JSON.stringify({ type, timestamp, ...presentPrediction(record) }) };
}

/**
 * Without a filter, Replicate calls on new output and on completion. Here both are one moment, so it is one call, unless
 * both are asked for.
 */
function wanted(filter: readonly WebhookEvent[] | null, event: WebhookEvent): boolean {
  return filter === null ? event === 'completed' : filter.includes(event);
}
