import { env } from 'cloudflare:workers';
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { describe, expect, it, vi } from 'vitest';
import { isTerminal, type Prediction } from '@deblur/shared/protocol/prediction.ts';
import {
  RATE_LIMIT_ANONYMOUS_MEGAPIXELS,
  RATE_LIMIT_KEY_MEGAPIXELS,
  REQUEST_LIMIT_ANONYMOUS,
} from '@deblur/shared/limits.ts';
import { budgetSpent } from '@deblur/shared/protocol/errors.ts';
import type { RateAccount } from '../../../workers/gateway/tenants/access-ports.ts';
import { CloudflareRateLimits } from '../../../workers/gateway/limits/rate-limits.ts';
import { spend, type BucketState } from '../../../workers/gateway/limits/token-bucket.ts';
import { call, gpu, problem, problemOf, until } from '../support/gateway.ts';
import { png } from '../support/pictures.ts';
import { newPredictionId } from '../../../workers/gateway/predictions/prediction-id.ts';
import { newTenant, production } from './support.ts';

const policy = { megapixels: 60, windowSeconds: 3600 };

describe('a bucket', () => {
  it('is emptied and fills evenly', () => {
    const first = spend(undefined, policy, 59, 0);
    expect(first.charge).toEqual({ allowed: true, remaining: 1, resetSeconds: 3540, retryAfterSeconds: 0 });
    const second = spend(first.state, policy, 2, 0);
    expect(second.charge).toEqual({ allowed: false, remaining: 1, resetSeconds: 3540, retryAfterSeconds: 60 });
    // One megapixel each minute: exactly when it said, and not before.
    expect(spend(second.state, policy, 2, 59_000).charge.allowed).toBe(false);
    expect(spend(second.state, policy, 2, 60_000).charge.allowed).toBe(true);
    expect(spend(first.state, policy, 60, 3_540_000).charge).toMatchObject({ allowed: true, remaining: 0 });
  });

  it('never holds more than it can, whatever the clock does', () => {
    expect(spend({ megapixels: 60, at: 0 }, policy, 1, 1e12).charge.remaining).toBe(59);
    expect(spend({ megapixels: 10, at: 1e12 }, policy, 1, 0).charge.remaining).toBe(9);
  });

  it('sells for a full bucket what costs more than one', () => {
    expect(spend(undefined, policy, 1000, 0).charge).toMatchObject({ allowed: true, remaining: 0 });
    expect(spend({ megapixels: 59, at: 0 }, policy, 1000, 0).charge).toMatchObject({
      allowed: false,
      retryAfterSeconds: 60,
    });
  });

  it('takes back what was spent, and never holds more than it can', () => {
    expect(spend({ megapixels: 1, at: 0 }, policy, -50, 0).charge).toMatchObject({ allowed: true, remaining: 51 });
    const { state, charge } = spend({ megapixels: 59, at: 0 }, policy, -50, 0);
    expect([state.megapixels, charge.resetSeconds]).toEqual([60, 0]);
  });

  it('gives in an hour no more than two buckets, whatever is asked for when', () => {
    for (const price of [0.0655, 1, 7.3, 33]) {
      let state: BucketState | undefined;
      let spent = 0;
      for (let now = 0; now <= 3_600_000; now += 5_000) {
        const spending = spend(state, policy, price, now);
        if (spending.charge.allowed) spent += price;
        state = spending.state;
      }
      const most = Math.min(2 * policy.megapixels, 721 * price);
      expect(spent).toBeGreaterThan(most - 2 * price);
      expect(spent).toBeLessThan(most + 1e-6);
    }
  });
});

describe('the object of an account', () => {
  const object = () => env.RATE_LIMITS.get(env.RATE_LIMITS.newUniqueId());

  it('charges everyone at once exactly', async () => {
    const stub = object();
    const charges = await Promise.all(Array.from({ length: 100 }, () => stub.charge(policy, 1)));
    expect(charges.filter(({ allowed }) => allowed)).toHaveLength(60);
  });

  it('forgets nothing when it is evicted, and everything once it is full', async () => {
    const stub = object();
    await stub.charge(policy, 50);
    await evictDurableObject(stub);
    expect((await stub.charge(policy, 1)).remaining).toBeCloseTo(9, 1);
    const stored = () => runInDurableObject(stub, (_, { storage }) => storage.kv.get('bucket'));
    // Not full yet: the alarm sets itself again.
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    expect(await stored()).toBeDefined();
    vi.spyOn(Date, 'now').mockReturnValue(Date.now() + 3_600_000);
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    vi.restoreAllMocks();
    expect(await stored()).toBeUndefined();
    expect(await runDurableObjectAlarm(stub)).toBe(false);
  });
});

describe('restorations', () => {
  /** Costs nine megapixels: by its header, since nothing here decodes. */
  const large = () => ({ method: 'POST', body: png({ width: 3000, height: 3000 }) });
  const headersOf = ({ status, headers }: Response) => [status, headers.get('ratelimit'), headers.get('retry-after')];

  it('are paid for by their megapixels, and hits at the minimum price', async () => {
    const { call } = production();
    const picture = large();
    const first = await call('/v1/deblur', picture);
    expect(first.headers.get('ratelimit-policy')).toBe(
      '"megapixels";q=60;w=3600;qu="megapixels", "requests";q=300;w=60',
    );
    expect(headersOf(first)).toEqual([200, expect.stringMatching(/^"megapixels";r=51;t=5[34]\d$/), null]);
    const hit = await call('/v1/deblur', picture);
    expect([hit.headers.get('x-cache'), ...headersOf(hit)]).toEqual([
      'hit',
      200,
      expect.stringMatching(/^"megapixels";r=50;/),
      null,
    ]);
    for (let i = 0; i < 5; i++) expect((await call('/v1/deblur', large())).status).toBe(200);
    const refused = await call('/v1/deblur', large());
    expect(headersOf(refused)).toEqual([
      429,
      expect.stringMatching(/^"megapixels";r=5;t=32\d\d$/),
      expect.stringMatching(/^1[678]\d$/),
    ]);
    expect(await problemOf(refused)).toEqual(problem(429, 'rate_limited'));
    // What fits still goes, and what is there already is given.
    expect((await call('/v1/deblur', { method: 'POST', body: png() })).status).toBe(200);
    expect((await call('/v1/deblur', picture)).status).toBe(200);
  });

  it('that are refused cost no inference and leave nothing', async () => {
    const { call } = production();
    for (let i = 0; i < 6; i++) await call('/v1/deblur', large());
    const before = await env.STORE.list();
    const asked = (await gpu.requests()).length;
    const refused = await call('/v1/deblur', large());
    expect(refused.status).toBe(429);
    expect((await env.STORE.list()).objects.length).toBe(before.objects.length);
    expect((await gpu.requests()).length).toBe(asked);
    expect(asked).toBe(6);
  });

  it('are counted for each tenant and each address by itself', async () => {
    const one = production();
    for (let i = 0; i < 6; i++) await one.call('/v1/deblur', large());
    expect((await one.call('/v1/deblur', large())).status).toBe(429);
    expect((await production().call('/v1/deblur', large())).status).toBe(200);
    const tenant = newTenant();
    const [key, other] = [await one.keyOf(tenant), await one.keyOf(tenant)];
    const paid = await one.call('/v1/deblur', { method: 'POST', body: png({ width: 7000, height: 7000 }), key });
    expect(paid.headers.get('ratelimit')).toMatch(`"megapixels";r=${RATE_LIMIT_KEY_MEGAPIXELS - 49};`);
    // More keys are not more megapixels.
    const alsoPaid = await one.call('/v1/deblur', { ...large(), key: other });
    const left = Number(/r=(\d+)/.exec(alsoPaid.headers.get('ratelimit') ?? '')?.[1]);
    expect(left).toBeLessThan(RATE_LIMIT_KEY_MEGAPIXELS - 9);
    expect(RATE_LIMIT_KEY_MEGAPIXELS).toBeGreaterThan(RATE_LIMIT_ANONYMOUS_MEGAPIXELS);
  });

  it.each([
    ['POST', () => ({ path: '/v1/predictions', headers: { 'idempotency-key': newPredictionId() } })],
    ['PUT', () => ({ path: `/v1/predictions/${newPredictionId()}`, headers: {} })],
  ])('are paid once, however often the same %s is repeated', async (method, request) => {
    const { call } = production();
    // Without a result there is no hit that would be free anyway.
    await gpu.set({ script: [{ kind: 'failed', error: 'image_undecodable: It is none.' }] });
    const { path, headers } = request();
    const init = { ...large(), method, headers };
    const first = await call(path, init);
    const { id } = await first.json<Prediction>();
    expect([first.status, first.headers.get('ratelimit')]).toEqual([201, expect.stringContaining('r=51;')]);
    const again = await Promise.all(Array.from({ length: 9 }, () => call(path, init)));
    for (const response of again) expect((await response.json<Prediction>()).id).toBe(id);
    // Nor are they refused to who has nothing left.
    await call('/v1/deblur', { method: 'POST', body: png({ width: 7000, height: 7000 }) });
    expect((await call('/v1/deblur', large())).status).toBe(429);
    expect((await (await call(path, init)).json<Prediction>()).id).toBe(id);
  });

  it('are paid once, however many equal ones come at the same moment', async () => {
    const { call } = production();
    const path = `/v1/predictions/${newPredictionId()}`;
    const init = { ...large(), method: 'PUT' };
    const statuses = (await Promise.all(Array.from({ length: 6 }, () => call(path, init)))).map(({ status }) => status);
    expect(statuses.sort()).toEqual([200, 200, 200, 200, 200, 201]);
    const next = await call('/v1/deblur', large());
    expect(next.headers.get('ratelimit')).toMatch(/^"megapixels";r=42;/);
    await until(async () => isTerminal((await (await call(path)).json<Prediction>()).status));
  });

  it('have no price that is refused for ever', async () => {
    const { call } = production();
    const largest = { method: 'POST', body: png({ width: 7000, height: 7000 }) };
    expect((await call('/v1/deblur', largest)).status).toBe(200);
  });
});

describe('requests', () => {
  it('are bounded, with a word when to come again', async () => {
    const { call } = production();
    let response = await call('/v1/models');
    let served = 0;
    // A window of the counter may end in between, so it may be up to two of them.
    for (; response.status === 200 && served <= 2 * REQUEST_LIMIT_ANONYMOUS; served++)
      response = await call('/v1/models');
    expect(served).toBeGreaterThanOrEqual(REQUEST_LIMIT_ANONYMOUS);
    expect(response.headers.get('retry-after')).toBe('60');
    expect(response.headers.get('ratelimit')).toBe('"requests";r=0;t=60');
    expect(await problemOf(response)).toEqual(problem(429, 'rate_limited'));
    // Also where no key is looked at, but others are called.
    expect(await problemOf(await call('/healthz'))).toEqual(problem(429, 'rate_limited'));
  });

  it('with invented keys are bounded before a tenant is asked', async () => {
    const { call } = production();
    let last = 401;
    for (let i = 0; i <= 2 * REQUEST_LIMIT_ANONYMOUS && last === 401; i++) {
      last = (await call('/v1/models', { key: `deblur_x_${'0'.repeat(16)}_${i.toString(16).padStart(64, '0')}` }))
        .status;
    }
    expect(last).toBe(429);
  });
});

it('nothing is limited on one’s own machine', async () => {
  const response = await call('/v1/deblur', { method: 'POST', body: png({ width: 3000, height: 3000 }) });
  expect(response.status).toBe(200);
  expect([...response.headers.keys()].filter((name) => name.startsWith('ratelimit'))).toEqual([]);
});

it('a limiter that is down refuses nobody', async () => {
  const broken = () => Promise.reject(new Error('down'));
  const limits = new CloudflareRateLimits({
    bucketOf: () => ({ charge: broken }),
    counters: { key: { limit: broken }, anonymous: { limit: broken } },
    anonymousMegapixels: 1,
  });
  const account = { key: 'key:x', tier: 'key' } as const;
  expect(await limits.admit(account)).toBe(true);
  expect((await limits.charge(account, 1)).allowed).toBe(true);
  await limits.refund(account, 1);
});

describe('anonymous work together', () => {
  const never = { limit: () => Promise.reject(new Error('requests are not counted here')) };
  const hour = (anonymousMegapixels: number, world = crypto.randomUUID()) =>
    new CloudflareRateLimits({
      bucketOf: (key) => env.RATE_LIMITS.get(env.RATE_LIMITS.idFromName(`${world} ${key}`)),
      counters: { key: never, anonymous: never },
      anonymousMegapixels,
    });
  const account = (key: string, networks: RateAccount['networks'] = []): RateAccount => ({
    key,
    tier: 'anonymous',
    networks,
  });

  it('costs no more than the operator allows, and says which limit was met and for how long', async () => {
    const limits = hour(20);
    expect((await limits.charge(account('a'), 9)).allowed).toBe(true);
    expect((await limits.charge(account('b'), 9)).allowed).toBe(true);
    const refused = await limits.charge(account('c'), 9);
    expect(refused).toMatchObject({ allowed: false, limit: 'all anonymous work' });
    const error = budgetSpent({ price: 9, ...refused });
    expect(error.retryAfterSeconds).toBeGreaterThan(1_000);
    expect(error.detail).toMatch(/^This request costs 9\.0 megapixels and 2\.\d are left of .* all anonymous work\. /);
  });

  it('takes nothing of the smaller buckets when a larger one is empty', async () => {
    const world = crypto.randomUUID();
    const poor = hour(10, world);
    await poor.charge(account('a'), 10);
    expect((await poor.charge(account('b'), 50)).allowed).toBe(false);
    const rich = hour(1_000_000, world);
    await env.RATE_LIMITS.get(env.RATE_LIMITS.idFromName(`${world} anonymous`)).charge(
      { megapixels: 1e6, windowSeconds: 1 },
      -1e6,
    );
    expect(await rich.charge(account('b'), 60)).toMatchObject({ allowed: true, remaining: 0 });
  });

  it('of one /48 is bounded, however many addresses it comes from', async () => {
    const limits = hour(1_000_000);
    const from = (i: number): RateAccount =>
      account(`64-${i}`, [
        { key: `56-${i}`, prefix: 56 },
        { key: '48', prefix: 48 },
      ]);
    for (let i = 0; i < 16; i++) expect((await limits.charge(from(i), 60)).allowed).toBe(true);
    expect(await limits.charge(from(16), 60)).toMatchObject({ allowed: false, limit: 'this network (/48)' });
    expect((await limits.charge(account('elsewhere'), 60)).allowed).toBe(true);
  });

  it('gets back of every bucket what was spent on nothing', async () => {
    const limits = hour(60);
    const client = account('a', [{ key: '56', prefix: 56 }]);
    await limits.charge(client, 60);
    expect((await limits.charge(client, 1)).allowed).toBe(false);
    await limits.refund(client, 60);
    expect(await limits.charge(client, 60)).toMatchObject({ allowed: true });
  });
});
