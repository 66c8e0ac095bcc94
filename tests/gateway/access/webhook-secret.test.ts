import { env } from 'cloudflare:workers';
import { afterEach, expect, it, vi } from 'vitest';
import { WEBHOOK_SECRET_OVERLAP_SECONDS } from '@deblur/shared/limits.ts';
import { createPorts } from '../../../workers/gateway/deps.ts';
import { newTenant, production } from './support.ts';

afterEach(() => vi.restoreAllMocks());

const path = '/v1/webhooks/default/secret';

it('a tenant’s secret is made once, and is its own', async () => {
  const { call, keyOf } = production();
  const keys = await Promise.all([newTenant(), newTenant()].map((tenant) => keyOf(tenant, 'admin')));
  const get = async (key: string) => (await (await call(path, { key })).json<{ key: string }>()).key;
  const [first, second] = await Promise.all(keys.map(get));
  expect(first).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  expect(second).not.toBe(first);
  expect(await get(keys[0] ?? '')).toBe(first);
  expect((await call(path, { key: keys[0] ?? null })).headers.get('cache-control')).toBe('no-store');
});

it('while it is rotated both sign, the new one first, and then the old one no more', async () => {
  const { call, keyOf } = production();
  const tenant = newTenant();
  const key = await keyOf(tenant, 'admin');
  const { webhookSecrets } = createPorts(env);
  const rotate = async () => {
    const response = await call(`${path}/rotate`, { method: 'POST', key });
    return (await response.json<{ key: string }>()).key;
  };
  const [first] = await webhookSecrets.signing(tenant);
  const second = await rotate();
  expect(await webhookSecrets.signing(tenant)).toEqual([second, first]);
  expect(await (await call(path, { key })).json()).toEqual({ key: second });
  // Twice in a day: the one before the last is gone at once.
  const third = await rotate();
  expect(await webhookSecrets.signing(tenant)).toEqual([third, second]);
  const rotatedAt = Date.now();
  vi.spyOn(Date, 'now').mockReturnValue(rotatedAt + WEBHOOK_SECRET_OVERLAP_SECONDS * 1000 - 60_000);
  expect(await webhookSecrets.signing(tenant)).toEqual([third, second]);
  vi.spyOn(Date, 'now').mockReturnValue(rotatedAt + WEBHOOK_SECRET_OVERLAP_SECONDS * 1000);
  expect(await webhookSecrets.signing(tenant)).toEqual([third]);
});
