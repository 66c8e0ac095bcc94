import type { MiddlewareHandler } from 'hono';
import { routePath } from 'hono/route';
import type { AppEnv } from '../context.ts';
import type { Ports } from '../ports.ts';

/** Methods that we have; others are one series together. */
const METHODS: readonly string[] = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS'];

/** By route, not by path: the number of series does not grow with what is asked for. */
export function countRequests({ stats }: Ports): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    await next();
    const method = METHODS.includes(c.req.method) ? c.req.method : 'other';
    const labels = { route: routePath(c, -1), method, status: String(c.res.status) };
    stats.count('deblur_http_requests_total', labels);
  };
}
