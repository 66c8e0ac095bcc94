import { describe, expect, it } from 'vitest';
import { readConfig } from '../../workers/gateway/config.ts';
import { cancelAfterSeconds } from '../../workers/gateway/http/body/create-headers.ts';
import { createPreference, waitPreference } from '../../workers/gateway/http/body/prefer.ts';
import { call, deblur, edge, problem, problemOf } from './support/gateway.ts';
import { png } from './support/pictures.ts';

describe('every answer', () => {
  it.each(['/v1/nothing', '/v1/deblur/more', '/internal', '/v1/results', '/x'])('404 for %s', async (path) => {
    expect(await problemOf(await call(path))).toEqual(problem(404, 'not_found'));
  });

  it('404 is a page for a person who mistyped an address', async () => {
    const response = await call('/x', { headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' } });
    expect(response.status).toBe(404);
    expect(response.headers.get('content-type')).toMatch(/^text\/html/);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(await response.text()).toContain('There is no such page');
  });

  it.each([
    ['GET', '/v1/deblur', 'POST'],
    ['HEAD', '/v1/deblur', 'POST'],
    ['POST', '/v1/models', 'GET, HEAD'],
    ['PATCH', `/v1/results/${'a'.repeat(64)}`, 'GET, HEAD, DELETE'],
    ['POST', '/i/signature/_/source', 'GET, HEAD'],
    ['POST', '/metrics', 'GET, HEAD'],
    ['PUT', '/healthz', 'GET, HEAD'],
    ['GET', '/internal/results/token', 'PUT, POST, DELETE'],
    ['PUT', '/internal/sources/token', 'GET, HEAD'],
  ])('405 for %s %s', async (method, path, allow) => {
    const response = await call(path, { method });
    expect(response.headers.get('allow')).toBe(allow);
    expect(response.status).toBe(405);
    if (method !== 'HEAD') expect(await problemOf(response)).toEqual(problem(405, 'method_not_allowed'));
  });

  it('carries security headers and is not stored', async () => {
    for (const response of [await call('/healthz'), await call('/v1/nothing'), await deblur(png())]) {
      expect(Object.fromEntries(response.headers)).toMatchObject({
        'cache-control': 'no-store',
        'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
      });
    }
  });

  it.each([
    ['a-b_c=1', 'a-b_c=1'],
    ['has blanks', null],
    ['<script>', null],
    ['x'.repeat(65), null],
  ])('keeps the request id "%s" only if it is sane', async (id, kept) => {
    const answered = (await call('/healthz', { headers: { 'x-request-id': id } })).headers.get('x-request-id');
    if (kept === null) expect(answered).toMatch(/^[0-9a-f-]{36}$/);
    else expect(answered).toBe(kept);
  });

  it('says which preference was applied', async () => {
    expect((await deblur(png(), '', { prefer: 'wait=7' })).headers.get('preference-applied')).toBe('wait=7');
    expect((await deblur(png(), '', { prefer: 'wait=700' })).headers.has('preference-applied')).toBe(false);
  });

  it('tells of an edge that is not ready', async () => {
    await edge.setHealth('SETUP_FAILED');
    const response = await call('/healthz');
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ parts: { edge: 'SETUP_FAILED', runner: 'READY' } });
  });
});

describe('Prefer: wait', () => {
  it.each([
    [undefined, 30],
    ['', 30],
    ['wait', 30],
    ['wait=1', 1],
    ['wait=60', 60],
    ['WAIT = 10', 10],
    ['wait="10"', 10],
    ['wait=10; x=1', 10],
    ['respond-async, wait=10', 10],
    ['respond-async', 0],
    ['respond-async, wait', 30],
    ['foo="a, wait=5", wait=10', 10],
    ['wait=10, wait=20', 10],
    ['wait=0', 30],
    ['wait=61', 30],
    ['wait=-5', 30],
    ['wait=1.5', 30],
    ['wait=ten', 30],
    ['wait=1e1', 30],
    ['waiting=10', 30],
    [`wait=${'9'.repeat(50)}`, 30],
    [`${',"'.repeat(20_000)}wait=10`, 30],
  ])('%s → %i s', (header, seconds) => {
    expect(waitPreference(header).seconds).toBe(seconds);
  });
});

describe('the wait of a create', () => {
  it.each([
    [undefined, 0, null],
    ['respond-async', 0, 'respond-async'],
    ['wait', 30, 'wait=30'],
    ['wait=5', 5, 'wait=5'],
    ['wait=5, respond-async', 5, 'wait=5'],
    ['wait=99', 30, 'wait=30'],
    ['x="respond-async"', 0, null],
  ])('%s → %i s', (header, seconds, applied) => {
    expect(createPreference(header)).toEqual({ seconds, applied });
  });

  it.each([
    [undefined, 43_200],
    ['30', 30],
    ['30s', 30],
    ['2m', 120],
    ['1h30m45s', 5445],
    ['12h', 43_200],
  ])('Cancel-After: %s is %i s', (header, seconds) => {
    expect(cancelAfterSeconds(header)).toBe(seconds);
  });

  it.each(['', '4s', '13h', '1d', '-5', '5 m', '1.5m', 's', 'm5', '9'.repeat(400), '30s30s'])(
    'Cancel-After: "%s" is refused',
    (header) => {
      expect(() => cancelAfterSeconds(header)).toThrow(expect.objectContaining({ code: 'invalid_option' }));
    },
  );
});

describe('configuration', () => {
  const good = {
    ENVIRONMENT: 'production',
    INTERNAL_ORIGIN: 'https://deblur.example',
    INTERNAL_SECRET: 's'.repeat(32),
    RESULT_KEY_SECRET: 'k'.repeat(32),
    RUNNER_URL: 'https://gpu.example/',
    RUNNER_TOKEN: 't',
    ADMIN_KEY: 'an-admin-key-of-the-tests-32-characters',
    ALLOW_ORIGINS: '',
    IMAGE_LINK_SOURCES: '',
    SHARED_CACHE: 'false',
    PURGE_ZONE_ID: '',
  };

  it('is read once it is whole', () => {
    expect(readConfig(good)).toMatchObject({ production: true, runner: { url: 'https://gpu.example/' } });
    expect(readConfig({ ...good, ENVIRONMENT: 'local', INTERNAL_ORIGIN: 'http://127.0.0.1:1' }).production).toBe(false);
    const ALLOW_ORIGINS = ' http://127.0.0.1:9000, https://a.example,';
    expect(readConfig({ ...good, ENVIRONMENT: 'local', ALLOW_ORIGINS }).allowOrigins).toEqual([
      'http://127.0.0.1:9000',
      'https://a.example',
    ]);
    expect(readConfig({ ...good, ALLOW_ORIGINS: '', ANONYMOUS_ACCESS: 'false' })).toMatchObject({
      allowOrigins: [],
      anonymousAccess: false,
    });
  });

  it.each([
    ['ENVIRONMENT', 'staging'],
    ['INTERNAL_ORIGIN', ''],
    ['INTERNAL_ORIGIN', 'https://deblur.example/path'],
    ['INTERNAL_ORIGIN', 'http://deblur.example'],
    ['INTERNAL_SECRET', 'short-secret'],
    ['RUNNER_URL', ''],
    ['RUNNER_URL', 'ftp://gpu.example'],
    ['RUNNER_URL', 'http://gpu.example'],
    ['RUNNER_TOKEN', ''],
    ['ALLOW_ORIGINS', 'http://127.0.0.1:9000'],
    ['ALLOW_ORIGINS', 'http://127.0.0.1:9000/path'],
    ['ALLOW_ORIGINS', '*'],
    ['ADMIN_KEY', ''],
    ['ADMIN_KEY', 'short-key'],
    ['ADMIN_KEY', 'a key with blanks is no bearer token at all'],
    ['ANONYMOUS_ACCESS', 'maybe'],
    ['ALLOW_ORIGINS', 'http://127.0.0.1:9'],
    ['ALLOW_ORIGINS', 'https://a.example/path'],
    ['ALLOW_ORIGINS', 'http://127.0.0.1:1'],
    ['ALLOW_ORIGINS', 'localhost'],
    ['IMAGE_LINK_KEYS', 'deadbeef'],
    ['IMAGE_LINK_SOURCES', 'https://a.example/path'],
    ['IMAGE_LINK_SOURCES', '*.*.example'],
    ['SHARED_CACHE', 'yes'],
    ['PURGE_ZONE_ID', 'f'.repeat(32)],
    ['METRICS_TOKEN', 'a-short-token'],
  ])('names %s when it is "%s", and not its value', (name, value) => {
    const read = () => readConfig({ ...good, [name]: value });
    expect(read).toThrow(new RegExp(`^configuration: ${name} must`));
    if (value !== '') expect(read).not.toThrow(value);
  });
});
