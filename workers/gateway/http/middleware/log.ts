/** One structured line for each request. */
import { traceIdOf } from '@deblur/shared/protocol/trace-context.ts';
import type { MiddlewareHandler } from 'hono';
import { routePath } from 'hono/route';
import type { AppEnv } from '../context.ts';

/** The route instead of the path is logged: the paths under /internal are credentials. */
export function requestLog(): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const started = Date.now();
    c.set('log', {});
    await next();
    const line = {
      level: c.res.status >= 500 ? 'error' : 'info',
      event: 'request',
      request_id: c.get('requestId'),
      trace_id: traceIdOf(c.get('trace')),
      method: c.req.method,
      route: routePath(c, -1),
      status: c.res.status,
      ms: Date.now() - started,
      ...c.get('log'),
    };
    console.log(JSON.stringify(line));
  };
}
