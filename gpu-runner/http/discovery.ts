import { Hono } from 'hono';
import { openApi } from './openapi.ts';

/** Cog's index: where everything is, for who has only the address. */
const INDEX = {
  openapi_url: '/openapi.json',
  healthcheck_url: '/health-check',
  liveness_url: '/v2/health/live',
  readiness_url: '/v2/health/ready',
  metrics_url: '/metrics',
  predictions_url: '/predictions',
  predictions_idempotent_url: '/predictions/{prediction_id}',
  predictions_cancel_url: '/predictions/{prediction_id}/cancel',
} as const;

export function discovery(): Hono {
  const document = openApi();
  return new Hono().get('/', (c) => c.json(INDEX)).get('/openapi.json', (c) => c.json(document));
}
