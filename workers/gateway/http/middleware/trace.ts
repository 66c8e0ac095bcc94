/** The trace of each request: the caller's (W3C Trace Context), or a new one. */
import { newTraceContext, readTraceContext } from '@deblur/shared/protocol/trace-context.ts';
import type { MiddlewareHandler } from 'hono';
import type { AppEnv } from '../context.ts';

export function traceContext(): MiddlewareHandler<AppEnv> {
  return (c, next) => {
    c.set('trace', readTraceContext(c.req.header('traceparent'), c.req.header('tracestate')) ?? newTraceContext());
    return next();
  };
}
