import { createHash, timingSafeEqual } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';

/**
 * `Authorization: Bearer <token>` as the replicate client sends it, or `Token <token>` as it once did.
 * @param token undefined: everybody is let in
 */
export function requireToken(token: string | undefined): MiddlewareHandler {
  const expected = token === undefined ? undefined : digest(token);
  return async (c, next) => {
    const given = /^(?:Bearer|Token) +(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1] ?? '';
    // Digests have one length, so the comparison tells nothing about the token, its length included.
    if (expected === undefined || timingSafeEqual(digest(given), expected)) return next();
    return c.json({ detail: 'A valid token is required.' }, 401, { 'WWW-Authenticate': 'Bearer' });
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
