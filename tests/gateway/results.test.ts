import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { ResultStore } from '../../workers/gateway/results/result-store.ts';
import { call, problem, problemOf } from './support/gateway.ts';

const KEY = 'ab'.repeat(32);
const PATH = `/v1/results/${KEY}`;
const ETAG = `"${KEY}"`;
const BODY = 'abcdefghij';
const SHA256 = 'sha-256=:cjmTYdpqd1T+yYbcpbfLrxyBCije1KuvVrIQbQbLeLA=:';
const metadata = { model: 'dhnet-edge', modelVersion: 'c'.repeat(64), placement: 'edge', restoration: null } as const;

const store = new ResultStore(env.STORE);

beforeEach(async () => {
  await caches.default.delete(`https://deblur.test${PATH}`);
  await store.put('result', KEY, new TextEncoder().encode(BODY), 'image/webp', metadata);
});

const get = (headers: Record<string, string> = {}, method = 'GET') => call(PATH, { method, headers });

describe('GET /v1/results/{key}', () => {
  it('is the picture, immutable', async () => {
    const response = await get();
    expect(response.status).toBe(200);
    const {
      'cache-control': cacheControl,
      'x-request-id': requestId,
      ...headers
    } = Object.fromEntries(response.headers);
    expect(Number(/^public, max-age=(\d+), immutable$/.exec(cacheControl ?? '')?.[1])).toBeCloseTo(30 * 86_400, -2);
    expect(requestId).toMatch(/^[0-9a-f-]{36}$/);
    expect(headers).toMatchObject({
      'content-type': 'image/webp',
      'content-length': '10',
      'content-digest': SHA256,
      'repr-digest': SHA256,
      etag: ETAG,
      'accept-ranges': 'bytes',
      'cache-tag': `result-${KEY}`,
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; sandbox",
      'access-control-allow-origin': '*',
      'cross-origin-resource-policy': 'cross-origin',
      'x-model': 'dhnet-edge@cccccccccccc',
      'x-placement': 'edge',
    });
    expect(await response.text()).toBe(BODY);
  });

  it('answers HEAD with the same headers and no body', async () => {
    const [head, whole] = await Promise.all([get({}, 'HEAD'), get()]);
    const without = (response: Response) =>
      Object.fromEntries([...response.headers].filter(([name]) => name !== 'x-request-id'));
    expect(head.status).toBe(200);
    expect(without(head)).toEqual(without(whole));
    expect(await head.text()).toBe('');
    expect(await whole.text()).toBe(BODY);
  });

  it('comes from the cache the second time, without the store', async () => {
    await (await get()).text();
    await vi.waitFor(async () => expect(await caches.default.match(`https://deblur.test${PATH}`)).toBeDefined());
    await env.STORE.delete(`results/${KEY}`);
    const cached = await get({ 'x-request-id': 'second' });
    expect(cached.headers.get('x-request-id')).toBe('second');
    expect(cached.headers.get('etag')).toBe(ETAG);
    expect(await cached.text()).toBe(BODY);
  });

  it.each([ETAG, `W/${ETAG}`, `"other", ${ETAG}`, '*'])('answers If-None-Match: %s with 304', async (condition) => {
    for (const method of ['GET', 'HEAD']) {
      const response = await get({ 'if-none-match': condition, range: 'bytes=0-1' }, method);
      expect(response.status).toBe(304);
      expect(response.headers.get('etag')).toBe(ETAG);
      expect(response.headers.get('cache-control')).toMatch(/immutable$/);
      expect(response.headers.has('content-length')).toBe(false);
      expect(await response.text()).toBe('');
    }
  });

  it('sends it when If-None-Match names another', async () => {
    expect((await get({ 'if-none-match': '"other"' })).status).toBe(200);
  });

  it.each([
    ['bytes=0-3', '0-3', 'abcd'],
    ['bytes=4-', '4-9', 'efghij'],
    ['bytes=8-100', '8-9', 'ij'],
    ['bytes=-3', '7-9', 'hij'],
    ['bytes=-100', '0-9', BODY],
    ['Bytes=9-9', '9-9', 'j'],
  ])('answers Range: %s with that part', async (range, part, text) => {
    const response = await get({ range });
    expect(response.status).toBe(206);
    expect(response.headers.get('content-range')).toBe(`bytes ${part}/10`);
    expect(response.headers.get('content-length')).toBe(String(text.length));
    // The digest of the whole belongs to the representation, not to this message.
    expect(response.headers.has('content-digest')).toBe(false);
    expect(response.headers.get('repr-digest')).toBe(SHA256);
    expect(await response.text()).toBe(text);
  });

  it.each(['bytes=0-1,4-5', 'lines=0-3', 'bytes=5-3', 'bytes=a-b', 'bytes=-', 'bytes', ''])(
    'ignores Range: %s',
    async (range) => {
      const response = await get({ range });
      expect([response.status, await response.text()]).toEqual([200, BODY]);
    },
  );

  it.each(['bytes=10-', 'bytes=100-200', 'bytes=-0'])('cannot satisfy Range: %s', async (range) => {
    const response = await get({ range });
    expect(response.headers.get('content-range')).toBe('bytes */10');
    expect(await problemOf(response)).toEqual(problem(416, 'range_not_satisfiable'));
  });

  it('keeps a range only under If-Range with its own ETag', async () => {
    expect((await get({ range: 'bytes=0-3', 'if-range': ETAG })).status).toBe(206);
    expect((await get({ range: 'bytes=0-3', 'if-range': `W/${ETAG}` })).status).toBe(200);
    expect((await get({ range: 'bytes=0-3', 'if-range': new Date().toUTCString() })).status).toBe(200);
  });

  it('ignores Range for HEAD', async () => {
    const response = await get({ range: 'bytes=0-3' }, 'HEAD');
    expect([response.status, response.headers.get('content-length')]).toEqual([200, '10']);
  });

  it.each([
    `/v1/results/${'cd'.repeat(32)}`,
    '/v1/results/nonsense',
    `/v1/results/${KEY.toUpperCase()}`,
    '/v1/results/..%2fmasters',
  ])('does not know %s', async (path) => {
    for (const headers of [{}, { range: 'bytes=0-1' }, { 'if-none-match': '*' }]) {
      expect(await problemOf(await call(path, { headers }))).toEqual(problem(404, 'not_found'));
    }
    expect((await call(path, { method: 'HEAD' })).status).toBe(404);
  });

  it('forgets it after its retention, and keeps less and less until then', async () => {
    const days = (count: number) => Date.now() + count * 86_400_000;
    const now = vi.spyOn(Date, 'now');
    try {
      now.mockReturnValue(days(29));
      const late = await get({}, 'HEAD');
      expect(Number(/max-age=(\d+)/.exec(late.headers.get('cache-control') ?? '')?.[1])).toBeLessThanOrEqual(86_400);
      now.mockReturnValue(days(30));
      expect((await get({}, 'HEAD')).status).toBe(404);
    } finally {
      now.mockRestore();
    }
    expect(await env.STORE.head(`results/${KEY}`)).toBeNull();
  });
});

describe('the result store', () => {
  it('keeps the first bytes of a key', async () => {
    await store.put('result', KEY, new TextEncoder().encode('other'), 'image/png', metadata);
    const found = await store.get('result', KEY);
    expect(found?.kind === 'stored' && (await found.bytes())).toEqual(new TextEncoder().encode(BODY));
  });

  it('does not take results for masters', async () => {
    expect(await store.head('master', KEY)).toBeNull();
  });
});
