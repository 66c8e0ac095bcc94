import { env } from 'cloudflare:workers';
import { runInDurableObject } from 'cloudflare:test';
import { describe, expect, it, vi } from 'vitest';
import { KEY_CACHE_SECONDS, KEYS_MAX_PER_TENANT } from '@deblur/shared/limits.ts';
import { clientNetworks } from '../../../workers/gateway/http/middleware/auth.ts';
import { problem, problemOf } from '../support/gateway.ts';
import { png } from '../support/pictures.ts';
import { ADMIN_KEY, newAddress, newTenant, production } from './support.ts';

const deblur = { method: 'POST', body: png() };
const newKey = (body: object) => ({ method: 'POST', body: JSON.stringify({ name: 'k', ...body }) });

/** What a tenant's object has stored, as text. */
const storedOf = (tenant: string): Promise<string> =>
  runInDurableObject(env.TENANTS.get(env.TENANTS.idFromName(tenant)), (_, { storage }) => {
    const tables = storage.sql.exec(`SELECT name FROM sqlite_master WHERE type = 'table'`).toArray();
    return JSON.stringify(
      tables
        .filter(({ name }) => !String(name).startsWith('_cf_'))
        .map(({ name }) => storage.sql.exec(`SELECT * FROM "${String(name)}"`).toArray()),
    );
  });

describe('an API key', () => {
  it('is shown once and stored as a digest', async () => {
    const { call } = production();
    const tenant = newTenant();
    const response = await call('/v1/keys', { ...newKey({ tenant, scopes: ['read', 'read'] }), key: ADMIN_KEY });
    expect(response.status).toBe(201);
    const { key, ...record } = await response.json<Record<string, string>>();
    expect(key).toMatch(new RegExp(`^deblur_${tenant}_[0-9a-f]{16}_[0-9a-f]{64}$`));
    expect(response.headers.get('location')).toBe(`/v1/keys/${record['id']}`);
    expect(record).toEqual({
      id: key?.split('_').slice(1, 3).join('_'),
      tenant,
      name: 'k',
      scopes: ['read'],
      created_at: expect.stringMatching(/^\d{4}-.*Z$/),
      last_used_at: null,
      expires_at: null,
    });
    const listed = await (await call(`/v1/keys?tenant=${tenant}`, { key: ADMIN_KEY })).json();
    expect(listed).toEqual({ previous: null, next: null, results: [record] });
    expect(await storedOf(tenant)).not.toContain(key?.slice(-64));
  });

  it('opens what its scopes say, and nothing else', async () => {
    const { call, keyOf } = production();
    const tenant = newTenant();
    const [create, read, remove, admin] = await Promise.all(
      ['create', 'read', 'delete', 'admin'].map((scope) => keyOf(tenant, scope)),
    );
    const status = async (path: string, init: RequestInit, key: string | undefined) =>
      (await call(path, { ...init, key: key ?? '' })).status;
    const routes: [string, RequestInit, (string | undefined)[]][] = [
      ['/v1/deblur', deblur, [create]],
      ['/v1/files', { method: 'POST' }, [create]],
      ['/v1/files', {}, [read]],
      ['/v1/files/file_x', {}, [read]],
      ['/v1/files/file_x', { method: 'DELETE' }, [remove]],
      ['/v1/keys', {}, [admin]],
      ['/v1/keys', newKey({}), [admin]],
      ['/v1/keys/x_1', { method: 'DELETE' }, [admin]],
      ['/v1/webhooks/default/secret', {}, [admin]],
      ['/v1/webhooks/default/secret/rotate', { method: 'POST' }, [admin]],
    ];
    for (const [path, init, opens] of routes) {
      for (const key of [create, read, remove, admin]) {
        const refused = (await status(path, init, key)) === 403;
        expect([path, init.method, refused]).toEqual([path, init.method, !opens.includes(key)]);
      }
    }
    const response = await call('/v1/keys', { key: read ?? '' });
    expect(response.headers.get('www-authenticate')).toBe(
      'Bearer realm="deblur", error="insufficient_scope", scope="admin"',
    );
    expect(await problemOf(response)).toEqual(problem(403, 'forbidden'));
  });

  const forged = (change: (key: string) => string) => async () => {
    const { keyOf } = production();
    return change(await keyOf(newTenant()));
  };
  it.each<[string, () => string | Promise<string>]>([
    ['another end', forged((key) => key.slice(0, -1) + (key.endsWith('0') ? '1' : '0'))],
    ['another id', forged((key) => key.replace(/_([0-9a-f]{16})_/, '_0123456789abcdef_'))],
    ['another tenant', forged((key) => key.replace(/^deblur_[^_]+/, 'deblur_operator'))],
    ['a tenant that is none', () => `deblur_nobody_${'0'.repeat(16)}_${'0'.repeat(64)}`],
    ['upper case', forged((key) => key.toUpperCase())],
    ['no form', () => 'x'],
    ['the operator’s, cut', () => ADMIN_KEY.slice(0, -1)],
    ['a path', () => `deblur_../../x_${'0'.repeat(16)}_${'0'.repeat(64)}`],
    ['endless', () => 'a'.repeat(100_000)],
  ])('is 401 with %s', async (_, key) => {
    const { call } = production();
    const response = await call('/v1/models', { key: await key() });
    expect(response.headers.get('www-authenticate')).toBe('Bearer realm="deblur", error="invalid_token"');
    expect(await problemOf(response)).toEqual(problem(401, 'unauthorized'));
  });

  it.each(['', 'Bearer', 'Bearer a b', 'Basic YTpi', 'Bearer é', `bearer ${'='.repeat(40)}`])(
    'is 401 in the header "%s"',
    async (authorization) => {
      const { call } = production();
      const response = await call('/v1/models', { headers: { authorization } });
      expect(await problemOf(response)).toEqual(problem(401, 'unauthorized'));
    },
  );

  it.each(['Bearer', 'bearer', 'Token'])('may stand behind %s', async (scheme) => {
    const { call } = production();
    expect((await call('/v1/keys', { headers: { authorization: `${scheme} ${ADMIN_KEY}` } })).status).toBe(200);
  });

  it('leaves nothing of a tenant that somebody invents', async () => {
    const { call } = production();
    const tenant = newTenant();
    await call('/v1/models', { key: `deblur_${tenant}_${'0'.repeat(16)}_${'0'.repeat(64)}` });
    expect(await storedOf(tenant)).toBe('[]');
  });

  it('ends when it expires', async () => {
    const { call } = production();
    const expires_at = new Date(Date.now() + 60_000).toISOString();
    const tenant = newTenant();
    const created = await call('/v1/keys', { ...newKey({ tenant, expires_at }), key: ADMIN_KEY });
    const { key } = await created.json<{ key: string }>();
    expect((await call('/v1/models', { key })).status).toBe(200);
    // In an isolate that has not seen it yet.
    vi.spyOn(Date, 'now').mockReturnValue(Date.parse(expires_at));
    expect((await production().call('/v1/models', { key })).status).toBe(401);
    vi.restoreAllMocks();
  });

  it('says to the hour when it was used', async () => {
    const { call, keyOf } = production();
    const tenant = newTenant();
    const key = await keyOf(tenant, 'admin');
    await call('/v1/models', { key });
    const used = async () =>
      (await (await call('/v1/keys', { key })).json<{ results: { last_used_at: string }[] }>()).results[0]
        ?.last_used_at ?? '';
    const first = Date.parse(await used());
    const since = Date.now() - first;
    expect(since).toBeGreaterThanOrEqual(0);
    expect(since).toBeLessThan(60_000);
    const at = (ms: number) => vi.spyOn(Date, 'now').mockReturnValue(first + ms);
    at(3_599_000);
    await production().call('/v1/models', { key });
    expect(Date.parse(await used())).toBe(first);
    at(3_600_000);
    await production().call('/v1/models', { key });
    expect(Date.parse(await used())).toBe(first + 3_600_000);
    vi.restoreAllMocks();
  });
});

describe('revocation', () => {
  it('is at once where it was done, and elsewhere when the memory of the key ends', async () => {
    const here = production();
    const elsewhere = production();
    const tenant = newTenant();
    const key = await here.keyOf(tenant);
    expect((await here.call('/v1/models', { key })).status).toBe(200);
    expect((await elsewhere.call('/v1/models', { key })).status).toBe(200);
    const path = `/v1/keys/${key.split('_').slice(1, 3).join('_')}`;
    expect((await here.call(path, { method: 'DELETE', key: ADMIN_KEY })).status).toBe(204);
    expect((await here.call('/v1/models', { key })).status).toBe(401);
    expect((await elsewhere.call('/v1/models', { key })).status).toBe(200);
    const later = Date.now() + KEY_CACHE_SECONDS * 1000;
    vi.spyOn(Date, 'now').mockReturnValue(later);
    expect((await elsewhere.call('/v1/models', { key })).status).toBe(401);
    vi.restoreAllMocks();
    expect(await problemOf(await here.call(path, { method: 'DELETE', key: ADMIN_KEY }))).toEqual(
      problem(404, 'not_found'),
    );
  });
});

describe('administration', () => {
  it('of another tenant is the operator’s alone', async () => {
    const { call, keyOf } = production();
    const [ours, theirs] = [newTenant(), newTenant()];
    const admin = await keyOf(ours, 'admin');
    const foreign = (await keyOf(theirs)).split('_').slice(1, 3).join('_');
    expect(await problemOf(await call('/v1/keys', { ...newKey({ tenant: theirs }), key: admin }))).toEqual(
      problem(403, 'forbidden'),
    );
    expect((await call('/v1/keys', { ...newKey({ tenant: 'operator' }), key: admin })).status).toBe(403);
    expect((await call(`/v1/keys?tenant=${theirs}`, { key: admin })).status).toBe(403);
    expect((await call(`/v1/keys/${foreign}`, { method: 'DELETE', key: admin })).status).toBe(404);
    const own = await (await call('/v1/keys', { ...newKey({}), key: admin })).json<{ tenant: string }>();
    expect(own.tenant).toBe(ours);
    // A second key of the operator's.
    const second = await keyOf('operator', 'admin');
    expect((await call(`/v1/keys/${foreign}`, { method: 'DELETE', key: second })).status).toBe(204);
  });

  it.each<[string, object | string, number, string]>([
    ['no name', { name: undefined }, 422, 'invalid_option'],
    ['a blank name', { name: ' ' }, 422, 'invalid_option'],
    ['a long name', { name: 'x'.repeat(101) }, 422, 'invalid_option'],
    ['an unknown scope', { scopes: ['root'] }, 422, 'invalid_option'],
    ['no scope', { scopes: [] }, 422, 'invalid_option'],
    ['an end that is no time', { expires_at: 'tomorrow' }, 422, 'invalid_option'],
    ['an end in the past', { expires_at: '2020-01-01T00:00:00Z' }, 422, 'invalid_option'],
    ['a tenant with a path', { tenant: '../x' }, 422, 'invalid_option'],
    ['a tenant with an underscore', { tenant: 'a_b' }, 422, 'invalid_option'],
    ['something else', { digest: 'x' }, 422, 'unknown_option'],
    ['a tenant of image links', { tenant: 'image-links' }, 403, 'forbidden'],
    ['a tenant of an anonymous caller', { tenant: `anonymous-${'0'.repeat(16)}` }, 403, 'forbidden'],
    ['the tenant of a local run', { tenant: 'local' }, 403, 'forbidden'],
    ['no JSON', '{', 400, 'malformed_request'],
    ['an array', '[]', 400, 'malformed_request'],
    ['nothing', '', 400, 'empty_body'],
    ['too much', `{"name":"${'x'.repeat(5000)}"}`, 413, 'body_too_large'],
  ])('refuses %s', async (_, body, status, code) => {
    const { call } = production();
    const init = typeof body === 'string' ? { method: 'POST', body } : newKey(body);
    expect(await problemOf(await call('/v1/keys', { ...init, key: ADMIN_KEY }))).toEqual(problem(status, code));
  });

  it('ends at so many keys', async () => {
    const { call, keyOf } = production();
    const tenant = newTenant();
    await Promise.all(Array.from({ length: KEYS_MAX_PER_TENANT }, () => keyOf(tenant)));
    const response = await call('/v1/keys', { ...newKey({ tenant }), key: ADMIN_KEY });
    expect(await problemOf(response)).toEqual(problem(429, 'quota_exceeded'));
  });
});

describe('without a key', () => {
  it('one may restore, and own nothing', async () => {
    const { call } = production();
    expect((await call('/v1/deblur', deblur)).status).toBe(200);
    expect((await call('/v1/models')).status).toBe(200);
    for (const path of ['/v1/files', '/v1/keys', '/v1/webhooks/default/secret']) {
      const response = await call(path);
      expect(response.headers.get('www-authenticate')).toBe('Bearer realm="deblur"');
      expect(await problemOf(response)).toEqual(problem(401, 'unauthorized'));
    }
  });

  it('one may look around only, when that is the configuration', async () => {
    const { call, keyOf } = production({ ANONYMOUS_ACCESS: 'false' });
    expect(await problemOf(await call('/v1/deblur', deblur))).toEqual(problem(401, 'unauthorized'));
    expect((await call('/v1/models')).status).toBe(200);
    expect((await call('/v1/deblur', { ...deblur, key: await keyOf(newTenant()) })).status).toBe(200);
  });

  it.each([
    ['198.51.100.7', '198.51.100.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
    ['2001:db8:1:2::9', '2001:db8:1:2'],
    ['::ffff:198.51.100.7', '0:0:0:0:0:ffff:c633:6407'],
    ['::1', '0:0:0:0'],
    ['', ''],
  ])('%s is of the network %s', (address, network) => {
    expect(clientNetworks(address).client).toBe(network);
  });

  it('a client of IPv6 is of the /56 and the /48 around its /64, too', () => {
    expect(clientNetworks('2001:db8:aa:bbcc:1::1').networks).toEqual([
      { prefix: 56, text: '2001:db8:aa:bb00/56' },
      { prefix: 48, text: '2001:db8:aa/48' },
    ]);
    expect(clientNetworks('203.0.113.7').networks).toEqual([]);
    expect(clientNetworks('::ffff:203.0.113.7').networks).toEqual([]);
  });

  it('what a client says of its address counts for nothing', async () => {
    const address = newAddress();
    const { call } = production({}, address);
    const left = async (headers: Record<string, string>) => {
      const response = await call('/v1/deblur', { method: 'POST', body: png({ width: 1000, height: 1000 }), headers });
      return Number(/r=(\d+)/.exec(response.headers.get('ratelimit') ?? '')?.[1]);
    };
    const first = await left({});
    const second = await left({
      'x-forwarded-for': '203.0.113.1',
      'x-real-ip': '203.0.113.2',
      forwarded: 'for=1.2.3.4',
    });
    expect([first, second]).toEqual([59, 58]);
  });
});

it('a tenant that cannot be reached is a failure that passes, not one of ours', async () => {
  const failing = new Proxy({}, { get: () => () => Promise.reject(new Error('the object is away')) });
  const namespace = { idFromName: () => 'id', get: () => failing };
  const { call } = production({ TENANTS: namespace as never });
  const response = await call('/v1/models', { key: `deblur_acme_${'0'.repeat(16)}_${'0'.repeat(64)}` });
  expect(response.headers.get('retry-after')).toBe('5');
  expect(await problemOf(response)).toEqual(problem(503, 'service_unavailable'));
});
