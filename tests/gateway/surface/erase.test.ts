import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
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
    expect([await stored('results/'), await stored('masters/')]).toEqual([[], []]);
    expect(await caches.default.match(`https://deblur.test${path}`)).toBeUndefined();
    for (const init of [{}, { headers: { range: 'bytes=0-1' } }, { headers: { 'if-none-match': '*' } }]) {
      expect(await codeOf(await anna(path, init))).toBe('410 gone');
    }
    expect((await anna(path, { method: 'HEAD' })).status).toBe(410);
    expect(await erase(anna, path)).toBe(410);
  });

  it('keeps the bytes until the last holder has let go', async () => {
    const body = png();
    const path = resultPathOf(await upload(anna, body));
    await upload(bert, body);
    expect(await erase(anna, path)).toBe(204);
    expect((await anna(path)).status).toBe(200);
    expect(await erase(anna, path)).toBe(404);
    expect(await erase(bert, path)).toBe(204);
    expect(await codeOf(await bert(path))).toBe('410 gone');
  });

  it('keeps the master while another format is held', async () => {
    const body = png();
    const path = resultPathOf(await upload(anna, body));
    const webp = resultPathOf(await upload(bert, body, '?format=webp'));
    await erase(anna, path);
    expect((await stored('masters/')).length).toBe(1);
    expect((await bert(webp)).status).toBe(200);
    await erase(bert, webp);
    expect(await stored('masters/')).toEqual([]);
  });

  it('is forgotten when the picture is asked for again', async () => {
    const body = png();
    const path = resultPathOf(await upload(anna, body));
    await erase(anna, path);
    expect((await upload(bert, body)).headers.get('x-cache')).toBe('miss');
    expect((await anna(path)).status).toBe(200);
    expect((await edge.calls()).restore).toBe(2);
  });

  it('leaves what comes in late unreachable', async () => {
    const body = png();
    const path = resultPathOf(await upload(anna, body));
    const key = path.split('/').at(-1)!;
    const late = await (await env.STORE.get(`results/${key}`))!.arrayBuffer();
    const { customMetadata = {} } = (await env.STORE.head(`results/${key}`))!;
    await erase(anna, path);
    const sha256 = await crypto.subtle.digest('SHA-256', late);
    await env.STORE.put(`results/${key}`, late, { customMetadata, sha256 });
    await caches.default.delete(`https://deblur.test${path}`);
    expect(await codeOf(await anna(path))).toBe('410 gone');
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

  it('is for everybody on one’s own machine, signed URLs included', async () => {
    await host.serve({ '/p': picture(png()) });
    const location = (await call(await sign(host.url('/p')))).headers.get('content-location')!;
    expect((await call(location, { method: 'DELETE' })).status).toBe(204);
    expect(await codeOf(await call(location))).toBe('410 gone');
    expect((await call(await sign(host.url('/p')))).status).toBe(200);
  });

  it('and obtaining at the same moment end with a result or with none, never with half', async () => {
    const body = png();
    const path = resultPathOf(await upload(anna, body));
    const [erased, obtained] = await Promise.all([erase(anna, path), upload(bert, body)]);
    expect([erased, obtained.status]).toEqual([204, 200]);
    const again = await bert(path);
    expect(again.status).toBe(200);
    expect(await again.text()).toBe(await obtained.text());
    expect((await stored('masters/')).length).toBe(1);
  });
});

describe('what other tenants may know', () => {
  it('is not that they asked before, nor when they ask at once', async () => {
    const body = png();
    const miss = await upload(anna, body);
    const masked = await upload(bert, body);
    expect((await edge.calls()).restore).toBe(1);
    const shown = (response: Response): unknown => {
      const { 'server-timing': timing = '', ...headers } = Object.fromEntries(response.headers);
      return { ...headers, spans: timing.replaceAll(/dur=[\d.]+/g, 'dur') };
    };
    expect(masked.headers.get('x-cache')).toBe('miss');
    expect(shown(masked)).toEqual(shown(miss));
    expect((await upload(anna, body)).headers.get('x-cache')).toBe('hit');
    expect((await upload(bert, body)).headers.get('x-cache')).toBe('hit');

    const other = png();
    await edge.hold();
    const first = upload(anna, other);
    await until(async () => (await edge.calls()).restore === 2);
    const [again, others] = [upload(anna, other), upload(bert, other)];
    await new Promise((resolve) => setTimeout(resolve, 200));
    await edge.release();
    const said = (await Promise.all([first, again, others])).map(({ headers }) => headers.get('x-cache'));
    expect(said).toEqual(['miss', 'coalesced', 'miss']);
    expect((await edge.calls()).restore).toBe(2);
  });

  it('is a hit of their own in another format', async () => {
    const body = png();
    await upload(anna, body);
    expect((await upload(anna, body, '?format=webp')).headers.get('x-cache')).toBe('hit');
    expect((await upload(bert, body, '?format=jpeg')).headers.get('x-cache')).toBe('miss');
  });

  it('is all of it with a shared cache', async () => {
    const body = png();
    await upload(anna, body);
    const shared = await upload(tenant(`carl-${names}`, { sharedCache: true }), body);
    expect(shared.headers.get('x-cache')).toBe('hit');
    expect(shared.headers.get('server-timing')).toContain('lookup');
  });
});

describe('the references of a restoration', () => {
  it('leave nothing behind in their object', async () => {
    const path = resultPathOf(await upload(anna, png()));
    const { restorationKey } = (await (await env.STORE.get(`origins/${path.split('/').at(-1)}`))!.json<{
      request: { task: { restorationKey: string } };
    }>())!.request.task;
    await erase(anna, path);
    const stub = env.REFERENCES.getByName(restorationKey);
    await runDurableObjectAlarm(stub);
    expect(await runInDurableObject(stub, (_, { storage }) => storage.list().then(({ size }) => size))).toBe(0);
    expect(await runInDurableObject(stub, (_, { storage }) => storage.getAlarm())).toBeNull();
  });
});
