/** The gateway as it runs in production: with keys, limits and an anonymous tier. */
import { env } from 'cloudflare:workers';
import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test';
import { createApp } from '../../../workers/gateway/app.ts';
import { createPorts } from '../../../workers/gateway/deps.ts';
import { assertConforms } from '../support/conformance.ts';

export const ADMIN_KEY = 'the-admin-key-of-the-tests-0123456789';
export const ORIGIN = 'https://deblur.test';

let addresses = 0;

/** Another client each time, so that tests do not spend each other's limits. */
export const newAddress = (): string => `198.51.100.${++addresses % 250}`;

let tenants = 0;

export const newTenant = (): string => `tenant-${Date.now().toString(36)}-${++tenants}`;

export interface Production {
  readonly call: (path: string, init?: RequestInit & { readonly key?: string | null }) => Promise<Response>;
  /** A new key, by the operator. */
  readonly keyOf: (tenant: string, ...scopes: string[]) => Promise<string>;
}

/** One isolate: what it remembers is its own. */
export function production(variables: Record<string, string> = {}, address = newAddress()): Production {
  const app = createApp(
    createPorts({
      ...env,
      ENVIRONMENT: 'production',
      INTERNAL_ORIGIN: ORIGIN,
      RUNNER_URL: 'https://gpu.example',
      ADMIN_KEY,
      ...{ ALLOW_ORIGINS: '', ...variables },
    }),
  );
  const call: Production['call'] = async (path, { key = null, ...init } = {}) => {
    const headers = new Headers(init.headers);
    if (!headers.has('cf-connecting-ip')) headers.set('cf-connecting-ip', address);
    if (key !== null) headers.set('authorization', `Bearer ${key}`);
    const context = createExecutionContext();
    const request = new Request(new URL(path, ORIGIN), { ...init, headers });
    const response = await app.fetch(request, env, context);
    await waitOnExecutionContext(context);
    await assertConforms(request, response);
    return response;
  };
  const keyOf: Production['keyOf'] = async (tenant, ...scopes) => {
    const body = JSON.stringify({ name: 'of a test', tenant, ...(scopes.length > 0 ? { scopes } : {}) });
    const response = await call('/v1/keys', { method: 'POST', body, key: ADMIN_KEY });
    if (response.status !== 201) throw new Error(await response.text());
    return (await response.json<{ key: string }>()).key;
  };
  return { call, keyOf };
}
