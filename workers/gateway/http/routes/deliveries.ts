/** `/v1/predictions/{id}/deliveries`: every webhook of a prediction, every attempt at it, and once more on demand. */
import { gone, notFound } from '@deblur/shared/protocol/errors.ts';
import type { Handler } from 'hono';
import type { z } from 'zod';
import type { Delivery } from '../../webhooks/delivery-ports.ts';
import type { Predictions } from '../../predictions/ports.ts';
import type { AppEnv } from '../context.ts';
import { knownForm } from './predictions.ts';
import type { deliveryListSchema, replaySchema } from '../api-schemas.ts';

interface DeliveryLog {
  readonly predictions: Pick<Predictions, 'deliveries' | 'replay'>;
}

export function getDeliveries({ predictions }: DeliveryLog): Handler<AppEnv, '/v1/predictions/:id/deliveries'> {
  return async (c) => {
    const deliveries = await predictions.deliveries(c.get('tenant').id, knownForm(c.req.param('id')));
    if (deliveries === null) throw notFound('prediction');
    return c.json({ results: deliveries.map(present) } satisfies z.infer<typeof deliveryListSchema>);
  };
}

/** 202: it is sent after the answer, and the log says how it went. */
export function replayDelivery({
  predictions,
}: DeliveryLog): Handler<AppEnv, '/v1/predictions/:id/deliveries/:n/replay'> {
  return async (c) => {
    const { id, n } = c.req.param();
    if (!/^\d{1,9}$/.test(n)) throw notFound('delivery');
    const replayed = await predictions.replay(c.get('tenant').id, knownForm(id), Number(n));
    if (replayed === null) throw notFound('prediction');
    if (replayed === 'unknown') throw notFound('delivery');
    if (replayed === 'gone') throw gone('delivery');
    const body: z.infer<typeof replaySchema> = { replayed: Number(n) };
    return c.json(body, 202, { Location: `/v1/predictions/${id}/deliveries` });
  };
}

function present({ n, webhookId, type, url, state, createdAt, nextAttemptAt, attempts }: Delivery) {
  return {
    n,
    webhook_id: webhookId,
    type,
    url,
    state,
    created_at: timeOf(createdAt),
    next_attempt_at: nextAttemptAt === null ? null : timeOf(nextAttemptAt),
    attempts: attempts.map(({ at, status, latencyMs, error }) => ({
      at: timeOf(at),
      status,
      latency_ms: latencyMs,
      error,
    })),
  };
}

const timeOf = (ms: number): string => new Date(ms).toISOString();
