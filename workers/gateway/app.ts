/** The public API: every route, and what each request passes on its way. */
import { Hono } from 'hono';
import { cors } from 'hono/cors';
import { methodNotAllowed } from 'hono/method-not-allowed';
import { requestId } from 'hono/request-id';
import { secureHeaders } from 'hono/secure-headers';
import { authenticate, limitByAddress, requireKey, requireOwner, requireScope } from './http/middleware/auth.ts';
import { drainUnread } from './http/body/body.ts';
import type { AppEnv } from './http/context.ts';
import type { Ports } from './http/ports.ts';
import { crossOrigin, findOrigin, guardLocalRun } from './http/middleware/callers-origin.ts';
import { CORS_HEADERS } from './http/middleware/cors-headers.ts';
import { postDeblur } from './http/routes/deblur.ts';
import { getDeliveries, replayDelivery } from './http/routes/deliveries.ts';
import { deleteFile, getFile, listFiles, postFile } from './http/routes/files.ts';
import { getHealth } from './http/routes/health.ts';
import { deleteResultParts, getSource, postCallback, postResultParts, putResult } from './http/routes/internal.ts';
import { deleteKey, getKeys, postKey } from './http/routes/keys.ts';
import { requestLog } from './http/middleware/log.ts';
import { countRequests } from './http/middleware/count-requests.ts';
import { getMetrics } from './http/routes/metrics.ts';
import { getModel, getModels } from './http/routes/models.ts';
import { getOpenApi } from './http/routes/openapi.ts';
import {
  cancelPrediction,
  getPrediction,
  listPredictions,
  postModelPrediction,
  postPrediction,
  putPrediction,
} from './http/routes/predictions.ts';
import { getStream } from './http/routes/prediction-stream.ts';
import { notFound, onError, onMethodNotAllowed } from './http/middleware/problem.ts';
import { limitRequests } from './http/middleware/rate-limit.ts';
import { deleteResult, getResult } from './http/routes/results.ts';
import { getImageLink } from './http/routes/image-link.ts';
import { traceContext } from './http/middleware/trace.ts';
import { getWebhookSecret, rotateWebhookSecret } from './http/routes/webhook-secret.ts';

export function createApp(ports: Ports): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.use(requestId({ limitLength: 64 }));
  app.use(traceContext());
  app.use(requestLog());
  app.use(drainUnread);
  app.use(countRequests(ports));
  // What a handler says itself stays: results have a policy of their own, and are the only thing that is cached.
  app.use(
    secureHeaders({
      strictTransportSecurity: 'max-age=15552000',
      overwrite: false,
      contentSecurityPolicy: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
    }),
  );
  app.use(async (c, next) => {
    await next();
    if (!c.res.headers.has('Cache-Control')) c.res.headers.set('Cache-Control', 'no-store');
  });

  app.use(methodNotAllowed({ app, onMethodNotAllowed }));
  app.use(findOrigin(ports));
  app.use(guardLocalRun(ports));

  // Before the key is asked for: a preflight carries none.
  app.use('/v1/*', crossOrigin(ports));
  app.use('/v1/*', authenticate(ports));
  app.use('/v1/*', limitRequests(ports.rateLimits));

  app.post('/v1/deblur', requireScope('create'), postDeblur(ports));
  app.get('/v1/results/:key', getResult(ports)).delete(requireScope('delete'), deleteResult(ports));
  // Signed by their site, so that whoever looks at it needs no key.
  app.use('/i/*', cors({ ...CORS_HEADERS, origin: '*' }));
  app.get('/i/*', getImageLink(ports));

  app
    .get('/v1/predictions', requireOwner('read'), listPredictions(ports))
    .post('/v1/predictions', requireScope('create'), postPrediction(ports));
  app
    .get('/v1/predictions/:id', requireScope('read'), getPrediction(ports))
    .put('/v1/predictions/:id', requireScope('create'), putPrediction(ports));
  app.post('/v1/predictions/:id/cancel', requireScope('create'), cancelPrediction(ports));
  app.get('/v1/predictions/:id/deliveries', requireKey('read'), getDeliveries(ports));
  app.post('/v1/predictions/:id/deliveries/:n/replay', requireKey('create'), replayDelivery(ports));
  // The address is its own credential: whoever watches sends no key.
  app.get('/v1/streams/:token', getStream(ports));
  app.post('/v1/models/:owner/:name/predictions', requireScope('create'), postModelPrediction(ports));
  app.get('/v1/models/:owner/:name', getModel(ports));
  app.get('/v1/models', getModels(ports));

  app.get('/v1/files', requireKey('read'), listFiles(ports));
  app.post('/v1/files', requireKey('create'), postFile(ports));
  app.get('/v1/files/:id', requireKey('read'), getFile(ports));
  app.delete('/v1/files/:id', requireKey('delete'), deleteFile(ports));
  app.get('/v1/keys', requireKey('admin'), getKeys(ports));
  app.post('/v1/keys', requireKey('admin'), postKey(ports));
  app.delete('/v1/keys/:id', requireKey('admin'), deleteKey(ports));
  const secretPath = '/v1/webhooks/default/secret';
  app.get(secretPath, requireKey('admin'), getWebhookSecret(ports));
  app.post(`${secretPath}/rotate`, requireKey('admin'), rotateWebhookSecret(ports));

  app.get('/healthz', limitByAddress(ports), getHealth(ports));
  app.get('/metrics', getMetrics(ports));
  app.get('/openapi.json', getOpenApi);

  // The runner's side, by internal URLs.
  app.get('/internal/sources/:token', getSource(ports));
  app.put('/internal/results/:token', putResult(ports)).post(postResultParts(ports)).delete(deleteResultParts(ports));
  app.post('/internal/callbacks/:token', postCallback(ports));

  app.onError(onError);
  app.notFound(notFound);
  return app;
}
