import type { MiddlewareHandler } from 'hono';
import type { RequestIdVariables } from 'hono/request-id';
import { routePath } from 'hono/route';
import type { Log } from '../ops/log.ts';
import type { Metrics } from '../ops/metrics.ts';
import { traceOf, type Trace } from '../ops/trace.ts';

/** What every request has in its context. */
export interface Env {
  readonly Variables: RequestIdVariables & { readonly trace: Trace };
}

/** Probes and scrapes come every few seconds and say nothing. */
const SILENT = /^\/(?:health-check|metrics|v2\/health\/.*)$/;

/** Gives a request its trace, and the log a line when it is answered; after `requestId()`. */
export function requestLog(log: Log, metrics: Metrics): MiddlewareHandler<Env> {
  return async (c, next) => {
    const start = performance.now();
    const trace = traceOf(c.get('requestId'), c.req.header('traceparent'), c.req.header('tracestate'));
    c.set('trace', trace);
    await next();
    const { method, path } = c.req;
    const { status } = c.res;
    metrics.answered(method, routePath(c, -1), status);
    if (SILENT.test(path)) return;
    const { requestId: request_id, traceId: trace_id } = trace;
    log.info('request', { method, path, status, ms: Math.round(performance.now() - start), request_id, trace_id });
  };
}
