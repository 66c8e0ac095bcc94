import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { INTERNAL_URL_TTL_SECONDS, RESULT_RETENTION_SECONDS } from '@deblur/shared/limits.ts';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { createApp } from '../../../workers/gateway/app.ts';
import { createPorts } from '../../../workers/gateway/deps.ts';
import { ResultStore } from '../../../workers/gateway/results/result-store.ts';
import type { ResultKind } from '../../../workers/gateway/results/stored-result.ts';
import { call, edge, resultPathOf, stored, until } from '../support/gateway.ts';
import { png } from '../support/pictures.ts';
import { sign } from '../support/sign.ts';
import { host, picture } from '../support/sources.ts';
import { tenant, type Caller } from '../support/tenants.ts';

const upload = (caller: Caller, body: BodyInit, query = ''): Promise<Response> =>
  caller(`/v1/deblur${query}`, { method: 'POST', body });

const erase = async (caller: Caller, path: string): Promise<number> =>
  (await caller(path, { method: 'DELETE' })).status;

async function codeOf(response: Response): Promise<string> {
  const { code } = await response.json<{ code: string }>();
  return `${response.status} ${code}`;
}

const keyIn = (path: string): string => path.split('/').at(-1) ?? '';

/** What lies under a prefix besides tombstones. */
async function pictures(prefix: string): Promise<string[]> {
  const { objects } = await env.STORE.list({ prefix });
  return objects.filter(({ size }) => size > 0).map(({ key }) => key);
}

/** Later by so many seconds. */
async function later<T>(seconds: number, act: () => Promise<T>): Promise<T> {
  const now = vi.spyOn(Date, 'now').mockReturnValue(Date.now() + seconds * 1000);
  try {
    return await act();
  } finally {
    now.mockRestore();
  }
}

let names = 0;
let anna: Caller;
let bert: Caller;

// Objects outlive a test: each has tenants and pictures of its own.
beforeEach(() => {
  names++;
  anna = tenant(`anna-${names}`);
  bert = tenant(`bert-${names}`);
});

describe('DELETE /v1/results/{key}', () => {
  it('erases result, master and cache, and leaves 410 behind', async () => {
    const path = resultPathOf(await upload(anna, png()));
    expect((await anna(path)).status).toBe(200);
    await until(async () => (await caches.default.match(`https://deblur.test${path}`)) !== undefined);
    expect(await erase(anna, path)).toBe(204);
    expect([await pictures('results/'), await pictures('masters/'), await stored('sources/')]).toEqual([[], [], []]);
    expect(await caches.default.match(`https://deblur.test${path}`)).toBeUndefined();
    for (const init of [{}, { headers: { range: 'bytes=0-1' } }, { headers: { 'if-none-match': '*' } }]) {
      expect(await codeOf(await anna(path, init))).toBe('410 gone');
    }
    expect((await anna(path, { method: 'HEAD' })).status).toBe(410);
    expect(await erase(anna, path)).toBe(410);
  });

  it('is not undone by a cache that was being filled', async () => {
    const path = resultPathOf(await upload(anna, png()));
    const ports = createPorts(env);
    const [filling, erased] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
    let reads = 0;
    const results = {
      head: (kind: ResultKind, key: string) => ports.results.head(kind, key),
      get: async (kind: ResultKind, key: string) => {
        const read = await ports.results.get(kind, key);
        // The second is for the cache.
        if (++reads === 2) {
          filling.resolve(undefined);
          await erased.promise;
        }
        return read;
      },
    } as unknown as ResultStore;
    const app = createApp({ ...ports, results });
    const context = createExecutionContext();
    const url = `https://deblur.test${path}`;
    await (await app.fetch(new Request(url), env, context)).arrayBuffer();
    await filling.promise;
    expect(await erase(anna, path)).toBe(204);
    erased.resolve(undefined);
    await waitOnExecutionContext(context);
    expect(await caches.default.match(url)).toBeUndefined();
  });

  it.each([
    ['another tenant’s', async () => resultPathOf(await upload(bert, png()))],
    ['an unknown', async () => `/v1/results/${'ef'.repeat(32)}`],
    ['a malformed', async () => '/v1/results/nonsense'],
  ])('does not know %s key', async (_, pathOf) => {
    const path = await pathOf();
    expect(await codeOf(await anna(path, { method: 'DELETE' }))).toBe('404 not_found');
  });

  it('needs the scope', async () => {
    const body = png();
    const path = resultPathOf(await upload(anna, body));
    const reader = tenant(`anna-${names}`, { scopes: ['create', 'read'] });
    expect(await codeOf(await reader(path, { method: 'DELETE' }))).toBe('403 forbidden');
    expect((await anna(path)).status).toBe(200);
  });

  it('is for everybody on one’s own machine, image links included', async () => {
    await host.serve({ '/p': picture(png()) });
    const location = (await call(await sign(host.url('/p')))).headers.get('content-location')!;
    expect((await call(location, { method: 'DELETE' })).status).toBe(204);
    expect(await codeOf(await call(location))).toBe('410 gone');
    expect((await call(await sign(host.url('/p')))).status).toBe(200);
  });

  it('erases every format of the result', async () => {
    const path = resultPathOf(await upload(anna, png(), '?format=png'));
    const webp = (await anna(path, { headers: { accept: 'image/webp' } })).headers.get('content-location') ?? '';
    expect(webp).not.toBe(path);
    expect(await erase(anna, path)).toBe(204);
    expect([await codeOf(await anna(path)), await codeOf(await anna(webp))]).toEqual(['410 gone', '410 gone']);
  });

  it('leaves the equal result of another tenant', async () => {
    const body = png();
    const [ours, theirs] = [resultPathOf(await upload(anna, body)), resultPathOf(await upload(bert, body))];
    expect(ours).not.toBe(theirs);
    expect(await erase(anna, theirs)).toBe(404);
    expect(await erase(anna, ours)).toBe(204);
    expect((await bert(theirs)).status).toBe(200);
  });

  it('is forgotten when the picture is asked for again', async () => {
    const body = png();
    const path = resultPathOf(await upload(anna, body));
    await erase(anna, path);
    const again = await upload(anna, body);
    expect([again.headers.get('x-cache'), resultPathOf(again)]).toEqual(['miss', path]);
    expect((await anna(path)).status).toBe(200);
    expect((await edge.calls()).restore).toBe(2);
  });

  it('refuses an upload that comes in late', async () => {
    const store = new ResultStore(env.STORE);
    const path = resultPathOf(await upload(anna, png()));
    const found = await store.head('result', keyIn(path));
    if (found?.kind !== 'stored') throw new Error('nothing is stored');
    await erase(anna, path);
    const late = store.put('result', keyIn(path), new Uint8Array(8), 'image/png', found);
    await expect(late).rejects.toMatchObject({ code: 'gone' });
    expect(await codeOf(await anna(path))).toBe('410 gone');
  });

  it('fails the work that was under way', async () => {
    const body = png();
    const path = resultPathOf(await upload(anna, body, '?format=png'));
    await env.STORE.delete(await stored('masters/'));
    await edge.hold();
    const webp = upload(anna, body, '?format=webp');
    await until(async () => (await edge.calls()).restore === 2);
    expect(await erase(anna, path)).toBe(204);
    await edge.release();
    expect(await codeOf(await webp)).toBe('410 gone');
  });

  it('is 404 once no upload can come in late, and the key is free again', async () => {
    const body = png();
    const path = resultPathOf(await upload(anna, body));
    await erase(anna, path);
    expect(await later(INTERNAL_URL_TTL_SECONDS, async () => codeOf(await anna(path)))).toBe('404 not_found');
    expect(await stored('results/')).toEqual([]);
    expect((await upload(anna, body)).headers.get('x-cache')).toBe('miss');
  });

  it('purges the caches again when the first time failed', async () => {
    const path = resultPathOf(await upload(anna, png()));
    const purged: (readonly string[])[] = [];
    const purge = async (tags: readonly string[]): Promise<void> => {
      purged.push(tags);
      if (purged.length === 1) throw new Error('the zone did not answer');
    };
    const failing = tenant(`anna-${names}`, { ports: { purge: { purge } } });
    expect(await codeOf(await failing(path, { method: 'DELETE' }))).toBe('503 service_unavailable');
    expect(await codeOf(await failing(path, { method: 'DELETE' }))).toBe('410 gone');
    expect(purged).toEqual([[`result-${keyIn(path)}`], [`result-${keyIn(path)}`]]);
  });
});

describe('a result of version 0.1.0, which has no scope', () => {
  const KEY = 'ad'.repeat(32);
  const path = `/v1/results/${KEY}`;
  const metadata = { model: 'dhnet-edge', modelVersion: 'c'.repeat(64), placement: 'edge', restoration: null } as const;

  beforeEach(async () => {
    await new ResultStore(env.STORE).put('result', KEY, new Uint8Array(8), 'image/png', metadata);
    await caches.default.delete(`https://deblur.test${path}`);
  });

  it('is served, in its own format', async () => {
    const response = await anna(path, { headers: { accept: 'image/webp' } });
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'image/png']);
  });

  it('is erased by the operator only', async () => {
    expect(await erase(anna, path)).toBe(404);
    expect(await erase(tenant('operator'), path)).toBe(204);
    expect(await codeOf(await anna(path))).toBe('410 gone');
  });

  it('expires after its retention', async () => {
    expect(await later(RESULT_RETENTION_SECONDS, async () => codeOf(await anna(path)))).toBe('404 not_found');
  });
});

describe('scopes', () => {
  it('show nothing of what another tenant has asked for', async () => {
    const body = png();
    const first = await upload(anna, body);
    const second = await upload(bert, body);
    expect([first.headers.get('x-cache'), second.headers.get('x-cache')]).toEqual(['miss', 'miss']);
    expect(resultPathOf(first)).not.toBe(resultPathOf(second));
    expect((await edge.calls()).restore).toBe(2);
    expect((await upload(bert, body)).headers.get('x-cache')).toBe('hit');
    expect(await stored('sources/')).toHaveLength(2);
  });

  it('let anybody read what is stored under an address, and only the owner have it encoded anew', async () => {
    const path = resultPathOf(await upload(anna, png(), '?format=png'));
    const webp = { headers: { accept: 'image/webp' } };
    expect((await bert(path, webp)).headers.get('content-type')).toBe('image/png');
    expect((await edge.calls()).encode).toBe(0);
    expect((await anna(path, webp)).headers.get('content-type')).toBe('image/webp');
    expect((await bert(path, webp)).headers.get('content-type')).toBe('image/webp');
    expect((await edge.calls()).encode).toBe(1);
  });

  it('need the scope "create" of a key to have a result encoded anew', async () => {
    const path = resultPathOf(await upload(anna, png(), '?format=png'));
    const reader = tenant(`anna-${names}`, { scopes: ['read'] });
    expect((await reader(path, { headers: { accept: 'image/webp' } })).headers.get('content-type')).toBe('image/png');
  });

  it('are one for all tenants with a shared cache, whose results only the operator erases', async () => {
    const body = png();
    const shared = { sharedCache: true };
    const path = resultPathOf(await upload(tenant(`anna-${names}`, shared), body));
    const second = await upload(tenant(`bert-${names}`, shared), body);
    expect([second.headers.get('x-cache'), resultPathOf(second)]).toEqual(['hit', path]);
    expect(await erase(tenant(`anna-${names}`, shared), path)).toBe(404);
    expect(await erase(tenant('operator', shared), path)).toBe(204);
  });

  it('have a cold cache after the secret has changed, and the old addresses still lead to their results', async () => {
    const body = png();
    const path = resultPathOf(await upload(anna, body));
    const renamed = tenant(`anna-${names}`, { env: { RESULT_KEY_SECRET: 'another secret that has 32 characters' } });
    expect((await renamed(path)).status).toBe(200);
    expect(await erase(renamed, path)).toBe(204);
    const again = await upload(anna, body);
    const fresh = await upload(renamed, body);
    expect(resultPathOf(fresh)).not.toBe(resultPathOf(again));
  });
});
