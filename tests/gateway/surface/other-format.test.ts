import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { call, deblur, edge, gpu, resultPathOf, stored, until } from '../support/gateway.ts';
import { png } from '../support/pictures.ts';

const accepting = (accept: string, init: RequestInit = {}): RequestInit => ({ ...init, headers: { accept } });

const nameOf = (path: string): string => path.split('/').at(-1) ?? '';

async function forget(prefix: string): Promise<void> {
  await env.STORE.delete(await stored(prefix));
}

describe('GET /v1/results/{key} by a client that does not take its format', () => {
  it('is a sibling, encoded from the master', async () => {
    const path = resultPathOf(await deblur(png(), '?format=png&metadata=strip'));
    const response = await call(path, accepting('image/webp'));
    const location = response.headers.get('content-location') ?? '';
    expect(location).not.toBe(path);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'image/webp',
      vary: 'Accept',
      etag: `"${nameOf(location)}"`,
      'cache-control': expect.stringContaining('immutable'),
    });
    expect(await response.text()).toMatch(/^\{"format":"webp","quality":90,"metadata":"strip"\}\|master:/);
    expect(await edge.calls()).toEqual({ restore: 1, encode: 1 });

    const again = await call(path, accepting('image/webp, image/jpeg;q=0.5'));
    expect(again.headers.get('content-location')).toBe(location);
    expect(
      (await call(path, { headers: { accept: 'image/webp', 'if-none-match': `"${nameOf(location)}"` } })).status,
    ).toBe(304);
    expect((await call(path, { headers: { accept: 'image/webp', 'if-none-match': `"${nameOf(path)}"` } })).status).toBe(
      200,
    );
    expect(await (await call(path, { headers: { accept: 'image/webp', range: 'bytes=0-7' } })).text()).toBe('{"format');
    expect(await edge.calls()).toEqual({ restore: 1, encode: 1 });
  });

  it('has the quality that was asked for, and is made where it can be', async () => {
    const path = resultPathOf(await deblur(png(), '?format=webp&quality=40'));
    expect(await (await call(path, accepting('image/jpeg'))).text()).toContain('"quality":40');
    expect((await call(path, accepting('image/avif'))).headers.get('content-type')).toBe('image/avif');
    expect((await gpu.requests()).map(({ prediction }) => prediction?.input['operation'])).toEqual(['encode']);
  });

  it.each([
    '',
    '*/*',
    'image/*',
    'image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5',
    'image/webp, image/png;q=0.001',
    'application/json',
    'text/html;q=1, image/*;q=0',
    'nonsense',
  ])('is itself for Accept: %s', async (accept) => {
    const path = resultPathOf(await deblur(png(), '?format=png'));
    const response = await call(path, accepting(accept));
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'image/png']);
    expect(response.headers.get('content-location')).toBe(path);
    expect(await edge.calls()).toEqual({ restore: 1, encode: 0 });
  });

  it('is itself when the master has gone: nothing is restored for it', async () => {
    const path = resultPathOf(await deblur(png(), '?format=png'));
    await forget('masters/');
    expect((await call(path, accepting('image/webp'))).headers.get('content-type')).toBe('image/png');
    expect(await edge.calls()).toEqual({ restore: 1, encode: 0 });
  });

  it('goes with the result that it was made for', async () => {
    const path = resultPathOf(await deblur(png(), '?format=png'));
    const sibling = (await call(path, accepting('image/webp'))).headers.get('content-location') ?? '';
    await until(async () => (await caches.default.match(`https://deblur.test${sibling}`)) !== undefined);
    expect((await call(path, { method: 'DELETE' })).status).toBe(204);
    expect([(await call(path)).status, (await call(sibling)).status]).toEqual([410, 410]);
    const sizes = (await env.STORE.list()).objects.map(({ size }) => size);
    expect(sizes.every((size) => size === 0)).toBe(true);
  });

  it('is 410 in every format once it was erased, and 404 when there never was one', async () => {
    const path = resultPathOf(await deblur(png(), '?format=png'));
    await call(path, { method: 'DELETE' });
    expect((await call(path, accepting('image/webp'))).status).toBe(410);
    expect((await call(`/v1/results/${'ab'.repeat(32)}`, accepting('image/webp'))).status).toBe(404);
  });
});
