/** Browser clients on other origins (Fetch, CORS). */
import { cors } from 'hono/cors';

/**
 * Any origin, because nothing here is ambient: there are no cookies, and a page that sends a key must have it. Credentials are
 * never allowed.
 */
export const crossOrigin = cors({
  origin: '*',
  credentials: false,
  allowMethods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
  allowHeaders: [
    'Authorization',
    'Cancel-After',
    'Content-Type',
    'Idempotency-Key',
    'If-None-Match',
    'Last-Event-ID',
    'Prefer',
    'Range',
    'Traceparent',
    'Tracestate',
    'X-Request-Id',
  ],
  exposeHeaders: [
    'Content-Digest',
    'Content-Location',
    'Content-Range',
    'ETag',
    'Link',
    'Location',
    'Preference-Applied',
    'RateLimit',
    'RateLimit-Policy',
    'Repr-Digest',
    'Retry-After',
    'Server-Timing',
    'WWW-Authenticate',
    'X-Cache',
    'X-Model',
    'X-Placement',
    'X-Request-Id',
  ],
  // Browsers cap it at two hours or a day.
  maxAge: 7200,
});
