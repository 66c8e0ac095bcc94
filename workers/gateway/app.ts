/** The public API: every route, and what each request passes on its way. */
import { Hono } from 'hono';
import { requestId } from 'hono/request-id';
import { secureHeaders } from 'hono/secure-headers';
import { openAccess } from './http/auth.ts';
import type { AppEnv, Ports } from './http/context.ts';
import { postDeblur } from './http/deblur.ts';
import { getHealth } from './http/health.ts';
import { getSource, postCallback, putResult } from './http/internal.ts';
import { requestLog } from './http/log.ts';
import { countRequests, getMetrics } from './http/metrics.ts';
import { getModel, getModels } from './http/models.ts';
import {
  cancelPrediction,
  getPrediction,
  listPredictions,
  postModelPrediction,
  postPrediction,
  putPrediction,
} from './http/predictions.ts';
import { methodNotAllowed, notFound, onError } from './http/problem.ts';
import { deleteResult, getResult } from './http/results.ts';
import { getSignedUrl } from './http/signed-url.ts';

export function createApp(ports: Ports): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.use(requestId({ limitLength: 64 }));
  app.use(requestLog());
  app.use(countRequests(ports));
  app.use(openAccess());
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

  app.post('/v1/deblur', postDeblur(ports)).all(methodNotAllowed('POST'));
  app
    .get('/v1/results/:key', getResult(ports))
    .delete(deleteResult(ports))
    .all(methodNotAllowed('GET', 'HEAD', 'DELETE'));
  app.get('/i/*', getSignedUrl(ports)).all(methodNotAllowed('GET', 'HEAD'));

  app
    .get('/v1/predictions', listPredictions(ports))
    .post(postPrediction(ports))
    .all(methodNotAllowed('GET', 'HEAD', 'POST'));
  app
    .get('/v1/predictions/:id', getPrediction(ports))
    .put(putPrediction(ports))
    .all(methodNotAllowed('GET', 'HEAD', 'PUT'));
  app.post('/v1/predictions/:id/cancel', cancelPrediction(ports)).all(methodNotAllowed('POST'));
  app.post('/v1/models/:owner/:name/predictions', postModelPrediction(ports)).all(methodNotAllowed('POST'));
  app.get('/v1/models/:owner/:name', getModel(ports)).all(methodNotAllowed('GET', 'HEAD'));
  app.get('/v1/models', getModels(ports)).all(methodNotAllowed('GET', 'HEAD'));
  app.get('/healthz', getHealth(ports)).all(methodNotAllowed('GET', 'HEAD'));
  app.get('/metrics', getMetrics(ports)).all(methodNotAllowed('GET', 'HEAD'));

  // The runner's side, by signed URLs.
  app.get('/internal/sources/:token', getSource(ports)).all(methodNotAllowed('GET', 'HEAD'));
  app.put('/internal/results/:token', putResult(ports)).all(methodNotAllowed('PUT'));
  app.post('/internal/callbacks/:token', postCallback(ports)).all(methodNotAllowed('POST'));

  app.onError(onError);
  app.notFound(notFound);
  return app;
}
