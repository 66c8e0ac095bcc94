/** Where callers reach this gateway, and which web pages may reach it. */
import { hostNotLocal, originNotListed } from '@deblur/shared/protocol/errors.ts';
import type { MiddlewareHandler } from 'hono';
import { cors } from 'hono/cors';
import type { AppContext, AppEnv } from '../context.ts';
import type { AccessMode } from './auth.ts';
import { CORS_HEADERS } from './cors-headers.ts';

export interface CallerPorts {
  readonly accessMode: AccessMode;
  readonly publicUrl: string | null;
  readonly trustedProxy: boolean;
  readonly corsOrigins: '*' | readonly string[];
}

/** Sets the origin of the addresses in our answers: PUBLIC_URL, or what the request and a trusted proxy say. */
export function findOrigin({ publicUrl, trustedProxy }: CallerPorts): MiddlewareHandler<AppEnv> {
  return (c, next) => {
    const url = new URL(c.req.url);
    const protocol = trustedProxy ? c.req.header('x-forwarded-proto') : undefined;
    if (protocol === 'https' || protocol === 'http') url.protocol = protocol;
    c.set('origin', publicUrl ?? url.origin);
    return next();
  };
}

/**
 * A local run knows no keys: whoever reaches it is its owner. A web page must not reach it through the owner's browser,
 * neither by a name that was rebound to this machine nor by a request from another origin.
 * @throws {DeblurError} `forbidden`
 */
export function guardLocalRun({ accessMode, publicUrl, corsOrigins }: CallerPorts): MiddlewareHandler<AppEnv> {
  const publicHost = publicUrl === null ? null : new URL(publicUrl).host;
  return async (c, next) => {
    if (accessMode === 'local') {
      const { host, hostname, origin: own } = new URL(c.req.url);
      if (!isLoopback(hostname) && host !== publicHost) throw hostNotLocal(host);
      const origin = c.req.header('origin');
      const listed =
        origin === own || origin === publicUrl || corsOrigins === '*' || corsOrigins.includes(origin ?? '');
      if (origin !== undefined && !listed && !isSafe(c)) throw originNotListed(origin);
    }
    await next();
  };
}

const isLoopback = (hostname: string): boolean => /^(?:(?:.+\.)?localhost|127(?:\.\d+){3}|\[::1\])$/.test(hostname);

const isSafe = (c: AppContext): boolean => ['GET', 'HEAD', 'OPTIONS'].includes(c.req.method);

/**
 * Lets pages of other origins read answers (CORS). Nothing here is ambient: there are no cookies, and a page that sends a
 * key must have it. A local run has no keys: there, only listed origins are let in, and never to keys, secrets and lists.
 */
export function crossOrigin({ accessMode, corsOrigins }: CallerPorts): MiddlewareHandler<AppEnv> {
  const open = cors({ ...CORS_HEADERS, origin: corsOrigins === '*' ? '*' : [...corsOrigins] });
  return (c, next) => (accessMode === 'local' && isOwners(c) ? next() : open(c, next));
}

/** What only the owner of a local run may see. */
function isOwners(c: AppContext): boolean {
  if (/^\/v1\/(?:keys|webhooks)\b/.test(c.req.path)) return true;
  return isSafe(c) && c.req.method !== 'OPTIONS' && /^\/v1\/(?:predictions|files)$/.test(c.req.path);
}
