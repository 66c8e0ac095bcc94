/** The routes of results for callers of many tenants: who asks is said in a header, because here there are no keys. */
import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { Hono } from 'hono';
import { createPorts } from '../../../workers/gateway/deps.ts';
import type { AppEnv } from '../../../workers/gateway/http/context.ts';
import type { Ports } from '../../../workers/gateway/http/ports.ts';
import { requireScope } from '../../../workers/gateway/http/middleware/auth.ts';
import { postDeblur } from '../../../workers/gateway/http/routes/deblur.ts';
import { postPrediction } from '../../../workers/gateway/http/routes/predictions.ts';
import { onError } from '../../../workers/gateway/http/middleware/problem.ts';
import { deleteResult, getResult } from '../../../workers/gateway/http/routes/results.ts';
import type { Scope, Tenant } from '../../../workers/gateway/tenants/access-ports.ts';

const ALL: readonly Scope[] = ['create', 'read', 'delete'];

interface TenantOptions {
  readonly sharedCache?: boolean;
  readonly scopes?: readonly Scope[];
  readonly env?: Partial<Env>;
  readonly ports?: Partial<Ports>;
}

function appFor(tenant: Tenant, { sharedCache = false, env: variables, ports: changed }: TenantOptions): Hono<AppEnv> {
  const ports = { ...createPorts({ ...env, SHARED_CACHE: String(sharedCache), ...variables }), ...changed };
  const app = new Hono<AppEnv>();
  app.use(async (c, next) => {
    c.set('requestId', 'of-the-tests');
    c.set('log', {});
    c.set('tenant', tenant);
    c.set('account', { key: tenant.id, tier: 'local' });
    await next();
  });
  app.post('/v1/deblur', postDeblur(ports));
  app.get('/v1/results/:key', getResult(ports)).delete(requireScope('delete'), deleteResult(ports));
  app.post('/v1/predictions', postPrediction(ports));
  app.onError(onError);
  return app;
}

export type Caller = (path: string, init?: RequestInit) => Promise<Response>;

/** One tenant's calls. */
export function tenant(id: string, options: TenantOptions = {}): Caller {
  const app = appFor({ id, tier: 'key', scopes: new Set(options.scopes ?? ALL) }, options);
  return async (path, init) => {
    const context = createExecutionContext();
    const response = await app.fetch(new Request(new URL(path, 'https://deblur.test'), init), env, context);
    const body = await response.arrayBuffer();
    await waitOnExecutionContext(context);
    return new Response([204, 304].includes(response.status) ? null : body, response);
  };
}
