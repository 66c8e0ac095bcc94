/** The HTTP surface: Cog's contract, so that the same container runs here, on Kubernetes and behind Replicate. */
import { Hono } from 'hono';
import { HTTPException } from 'hono/http-exception';
import { requestId } from 'hono/request-id';
import type { Log } from './ops/log.ts';
import type { Peers } from './peers/peers.ts';
import { requireToken } from './http/auth.ts';
import { discovery } from './http/discovery.ts';
import { cogHealth, probes } from './http/health.ts';
import { metricsRoutes } from './http/metrics.ts';
import { passToPeers } from './peers/pass-to-peers.ts';
import { predictionRoutes } from './http/predictions.ts';
import { requestLog, type Env } from './http/request-log.ts';
import type { RunnerService } from './predictions/runner-service.ts';

export interface AppOptions {
  readonly runner: RunnerService;
  readonly token: string | undefined;
  /** Undefined: it is the only one. */
  readonly peers?: Peers | undefined;
  readonly log: Log;
}

export function createApp({ runner, token, peers, log }: AppOptions): Hono<Env> {
  const app = new Hono<Env>();
  app.use(requestId(), requestLog(log, runner.metrics));
  app.route('/', discovery());
  app.route('/health-check', cogHealth(runner));
  app.route('/v2/health', probes(runner));
  app.use(requireToken(token));
  app.route('/metrics', metricsRoutes(runner));
  if (peers !== undefined)
    app.on(['GET', 'PUT', 'POST'], ['/predictions/:id', '/predictions/:id/cancel'], passToPeers(runner, peers));
  app.route('/predictions', predictionRoutes(runner));
  app.notFound((c) => c.json({ detail: 'Not found.' }, 404));
  app.onError((error, c) => {
    if (error instanceof HTTPException) return error.getResponse();
    // A client that went away while it sent its body gets no answer, and is nobody's error.
    if (!c.req.raw.signal.aborted) log.error('request_failed', error, { request_id: c.get('requestId') });
    return c.json({ detail: 'Something went wrong on our side.' }, 500);
  });
  return app;
}
