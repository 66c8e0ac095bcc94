import type { Prediction, PredictionList } from '@deblur/shared/protocol/prediction.ts';
import { describe, expect, it } from 'vitest';
import { problem, problemOf, resultPathOf } from '../support/gateway.ts';
import { png } from '../support/pictures.ts';
import { newAddress, production } from './support.ts';

const newToken = (): string => {
  const secret = crypto.getRandomValues(new Uint8Array(32));
  return `visitor_${secret.toBase64({ alphabet: 'base64url', omitPadding: true })}`;
};

const own = { SHARED_CACHE: 'false' };

describe('a visitor', () => {
  it('creates, reads, lists and deletes what its token has made', async () => {
    const { call } = production(own);
    const key = newToken();
    const headers = { 'content-type': 'image/png', prefer: 'wait=10' };
    const created = await call('/v1/predictions', { method: 'POST', body: png(), headers, key });
    const { id, status, urls } = await created.json<Prediction>();
    expect(status).toBe('succeeded');
    expect((await call(`/v1/predictions/${id}`, { key })).status).toBe(200);
    const { results } = await (await call('/v1/predictions', { key })).json<PredictionList>();
    expect(results.map((prediction) => prediction.id)).toEqual([id]);
    const { pathname } = new URL(urls.result ?? '');
    expect((await call(pathname, { method: 'DELETE', key })).status).toBe(204);
    expect((await call(pathname, { key })).status).toBe(410);
  });

  it('shares nothing with others behind its address', async () => {
    const { call } = production(own);
    const [ours, theirs] = [newToken(), newToken()];
    const body = png();
    const path = resultPathOf(await call('/v1/deblur', { method: 'POST', body, key: ours }));
    for (const key of [theirs, null]) {
      const response = await call('/v1/deblur', { method: 'POST', body, key });
      expect(response.headers.get('x-cache')).toBe('miss');
      expect(resultPathOf(response)).not.toBe(path);
    }
    expect(await problemOf(await call(path, { method: 'DELETE', key: theirs }))).toEqual(problem(404, 'not_found'));
    expect((await call('/v1/deblur', { method: 'POST', body, key: ours })).headers.get('x-cache')).toBe('hit');
  });

  it('pays from the budget of its address', async () => {
    const { call } = production(own, newAddress());
    const left = (response: Response) => Number(/r=(\d+)/.exec(response.headers.get('ratelimit') ?? '')?.[1]);
    const picture = () => png({ width: 1000, height: 1000 });
    const first = await call('/v1/deblur', { method: 'POST', body: picture(), key: newToken() });
    const second = await call('/v1/deblur', { method: 'POST', body: picture(), key: newToken() });
    expect(left(first) - left(second)).toBe(1);
  });

  it.each([
    ['files', '/v1/files'],
    ['keys', '/v1/keys'],
    ['webhook secrets', '/v1/webhooks/default/secret'],
  ])('has no %s', async (_, path) => {
    const { call } = production(own);
    expect(await problemOf(await call(path, { key: newToken() }))).toEqual(problem(401, 'unauthorized'));
  });

  it.each(['visitor_', `visitor_${'a'.repeat(42)}`, `visitor_${'a'.repeat(43)}`, `visitor_${'+'.repeat(43)}`])(
    'is nobody with the token %s',
    async (key) => {
      const { call } = production(own);
      expect(await problemOf(await call('/v1/models', { key }))).toEqual(problem(401, 'unauthorized'));
    },
  );

  it('may do nothing where nobody may restore without a key', async () => {
    const { call } = production({ ...own, ANONYMOUS_ACCESS: 'false' });
    const response = await call('/v1/deblur', { method: 'POST', body: png(), key: newToken() });
    expect(await problemOf(response)).toEqual(problem(401, 'unauthorized'));
  });
});
