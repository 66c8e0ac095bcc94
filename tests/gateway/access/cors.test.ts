import { expect, it, vi } from 'vitest';
import { png } from '../support/pictures.ts';
import { call, resultPathOf } from '../support/gateway.ts';
import { production } from './support.ts';

const origin = 'https://app.example';
const preflight = {
  method: 'OPTIONS',
  headers: {
    origin,
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization, content-type, prefer, idempotency-key',
  },
};

it('a preflight is answered without a key, and never allows credentials', async () => {
  const { call: send } = production({ ANONYMOUS_ACCESS: 'false' });
  for (const path of ['/v1/deblur', '/v1/files', '/v1/nothing']) {
    const response = await send(path, preflight);
    const { headers } = response;
    expect(response.status).toBe(204);
    expect(headers.get('access-control-allow-origin')).toBe('*');
    expect(headers.get('access-control-allow-methods')).toContain('POST');
    const allowed = headers.get('access-control-allow-headers')?.toLowerCase().split(',') ?? [];
    expect(allowed).toEqual(expect.arrayContaining(['authorization', 'content-type', 'prefer', 'idempotency-key']));
    expect(headers.has('access-control-allow-credentials')).toBe(false);
    expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  }
});

it('every answer of the API can be read by a page, errors and results too', async () => {
  const { call: send } = production();
  const headers = { origin };
  const restored = await send('/v1/deblur', { method: 'POST', body: png(), headers });
  const answers = [
    restored,
    await send(resultPathOf(restored), { headers }),
    await send(resultPathOf(restored), { headers }),
    await send('/v1/models', { headers }),
    await send('/v1/models', { headers, key: 'wrong' }),
    await send('/v1/keys', { headers }),
    await send('/v1/deblur', { method: 'POST', body: 'text', headers }),
    await send('/v1/nothing', { headers }),
    await send('/v1/deblur', { headers }),
  ];
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 401, 401, 415, 404, 405]);
  for (const answer of answers) {
    expect(answer.headers.get('access-control-allow-origin')).toBe('*');
    expect(answer.headers.has('access-control-allow-credentials')).toBe(false);
    expect(answer.headers.get('access-control-expose-headers')).toMatch(/X-Request-Id/);
    expect(answer.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  }
});

it('what is not the API is not opened', async () => {
  for (const path of ['/healthz', '/internal/sources/x']) {
    const response = await call(path, { headers: { origin } });
    expect(response.headers.has('access-control-allow-origin')).toBe(false);
  }
});

it('every request has its line in the log, with its id: refused ones and preflights too', async () => {
  const log = vi.spyOn(console, 'log').mockImplementation(() => undefined);
  const { call: send } = production();
  const answers = [
    await send('/v1/deblur', preflight),
    await send('/v1/models', { key: 'wrong-key-that-is-a-secret' }),
    await send('/v1/keys'),
    await send('/v1/nothing'),
    await send('/v1/models'),
  ];
  const lines = log.mock.calls.map(([line]) => JSON.parse(String(line)) as Record<string, unknown>);
  log.mockRestore();
  expect(lines.map(({ status, request_id }) => [status, request_id])).toEqual(
    answers.map(({ status, headers }) => [status, headers.get('x-request-id')]),
  );
  expect(lines.map(({ status, code }) => [status, code])).toEqual([
    [204, undefined],
    [401, 'unauthorized'],
    [401, 'unauthorized'],
    [404, 'not_found'],
    [200, undefined],
  ]);
  expect(JSON.stringify(lines)).not.toContain('wrong-key');
});
