/** Who asks. */
import type { MiddlewareHandler } from 'hono';
import type { Tenant } from '../predict/ports.ts';
import type { AppEnv } from './context.ts';

const LOCAL: Tenant = { id: 'local', tier: 'local', scopes: new Set(['create', 'read', 'delete', 'admin']) };

/** Everybody may do everything, with any bearer token or none. */
export function openAccess(): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    c.set('tenant', LOCAL);
    await next();
  };
}
