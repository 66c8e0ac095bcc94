/** The public API: every route, and what each request passes on its way. */
import { Hono } from 'hono';
import { requestId } from 'hono/request-id';
import { secureHeaders } from 'hono/secure-headers';
import { authenticate, limitByAddress, requireKey, requireScope } from './http/middleware/auth.ts';
import { drainUnread } from './http/body/body.ts';
import type { AppEnv, Ports } from './http/context.ts';
import { crossOrigin } from './http/middleware/cors.ts';
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
import { methodNotAllowed, notFound, onError } from './http/middleware/problem.ts';
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

  // Before the key is asked for: a preflight carries none.
  app.use('/v1/*', crossOrigin);
  app.use('/v1/*', authenticate(ports));
  app.use('/v1/*', limitRequests(ports.rateLimits));

  app.post('/v1/deblur', requireScope('create'), postDeblur(ports)).all(methodNotAllowed('POST'));
  app
    .get('/v1/results/:key', getResult(ports))
    .delete(requireScope('delete'), deleteResult(ports))
    .all(methodNotAllowed('GET', 'HEAD', 'DELETE'));
  // Signed by their site, so that whoever looks at it needs no key.
  app.use('/i/*', crossOrigin);
  app.get('/i/*', getImageLink(ports)).all(methodNotAllowed('GET', 'HEAD'));

  app
    .get('/v1/predictions', requireKey('read'), listPredictions(ports))
    .post('/v1/predictions', requireScope('create'), postPrediction(ports))
    .all(methodNotAllowed('GET', 'HEAD', 'POST'));
  app
    .get('/v1/predictions/:id', requireScope('read'), getPrediction(ports))
    .put('/v1/predictions/:id', requireScope('create'), putPrediction(ports))
    .all(methodNotAllowed('GET', 'HEAD', 'PUT'));
  app.post('/v1/predictions/:id/cancel', requireScope('create'), cancelPrediction(ports)).all(methodNotAllowed('POST'));
  app
    .get('/v1/predictions/:id/deliveries', requireKey('read'), getDeliveries(ports))
    .all(methodNotAllowed('GET', 'HEAD'));
  app
    .post('/v1/predictions/:id/deliveries/:n/replay', requireKey('create'), replayDelivery(ports))
    .all(methodNotAllowed('POST'));
  // The address is its own credential: whoever watches sends no key.
  app.get('/v1/streams/:token', getStream(ports)).all(methodNotAllowed('GET', 'HEAD'));
  app
    .post('/v1/models/:owner/:name/predictions', requireScope('create'), postModelPrediction(ports))
    .all(methodNotAllowed('POST'));
  app.get('/v1/models/:owner/:name', getModel(ports)).all(methodNotAllowed('GET', 'HEAD'));
  app.get('/v1/models', getModels(ports)).all(methodNotAllowed('GET', 'HEAD'));

  app.post('/v1/files', requireKey('create'), postFile(ports));
  app.get('/v1/files', requireKey('read'), listFiles(ports)).all(methodNotAllowed('GET', 'HEAD', 'POST'));
  app.get('/v1/files/:id', requireKey('read'), getFile(ports));
  app.delete('/v1/files/:id', requireKey('delete'), deleteFile(ports)).all(methodNotAllowed('DELETE', 'GET', 'HEAD'));
  app.post('/v1/keys', requireKey('admin'), postKey(ports));
  app.get('/v1/keys', requireKey('admin'), getKeys(ports)).all(methodNotAllowed('GET', 'HEAD', 'POST'));
  app.delete('/v1/keys/:id', requireKey('admin'), deleteKey(ports)).all(methodNotAllowed('DELETE'));
  const secretPath = '/v1/webhooks/default/secret';
  app.get(secretPath, requireKey('admin'), getWebhookSecret(ports)).all(methodNotAllowed('GET', 'HEAD'));
  app.post(`${secretPath}/rotate`, requireKey('admin'), rotateWebhookSecret(ports)).all(methodNotAllowed('POST'));

  app.get('/healthz', limitByAddress(ports), getHealth(ports)).all(methodNotAllowed('GET', 'HEAD'));
  app.get('/metrics', getMetrics(ports)).all(methodNotAllowed('GET', 'HEAD'));
  app.get('/openapi.json', getOpenApi).all(methodNotAllowed('GET', 'HEAD'));

  // The runner's side, by internal URLs.
  app.get('/internal/sources/:token', getSource(ports)).all(methodNotAllowed('GET', 'HEAD'));
  app
    .put('/internal/results/:token', putResult(ports))
    .post(postResultParts(ports))
    .delete(deleteResultParts(ports))
    .all(methodNotAllowed('PUT', 'POST', 'DELETE'));
  app.post('/internal/callbacks/:token', postCallback(ports)).all(methodNotAllowed('POST'));

  app.onError(onError);
  app.notFound(notFound);
  return app;
}
