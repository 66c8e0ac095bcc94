import {
  createExecutionContext,
  runDurableObjectAlarm,
  runInDurableObject,
  waitOnExecutionContext,
} from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { isTerminal, type Prediction } from '@deblur/shared/protocol/prediction.ts';
import { beforeEach, describe, expect, it } from 'vitest';
import { createApp } from '../../../workers/gateway/app.ts';
import { createPorts } from '../../../workers/gateway/deps.ts';
import type { ResultKind, ResultStore } from '../../../workers/gateway/results/ports.ts';
import { predictionName } from '../../../workers/gateway/predictions/prediction-id.ts';
import type { ResultOrigin } from '../../../workers/gateway/references/ports.ts';
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

/** How many hold the one result that there is. */
async function holdersOf(): Promise<number> {
  const [key = ''] = await stored('origins/');
  const { request } = (await (await env.STORE.get(key))?.json<ResultOrigin>()) ?? {};
  const stub = env.REFERENCES.getByName(request?.task.restorationKey ?? '');
  return runInDurableObject(stub, (_, { storage }) =>
    Number(storage.sql.exec('SELECT count(*) AS n FROM reference').one()['n']),
  );
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

  it('erases what comes in late, of work that had begun before', async () => {
    await edge.hold();
    const created = await anna('/v1/predictions', { method: 'POST', body: png() });
    const { id, urls } = await created.json<Prediction>();
    await until(async () => (await edge.calls()).restore === 1);
    expect(await erase(anna, new URL(urls.result ?? '').pathname)).toBe(204);
    await edge.release();
    const stub = env.PREDICTIONS.get(env.PREDICTIONS.idFromName(predictionName(`anna-${names}`, id)));
    const ended = async () => isTerminal((await stub.read())?.prediction.status ?? 'starting');
    await until(ended);
    await until(async () => [...(await stored('results/')), ...(await stored('masters/'))].length === 0);
  });

  it('keeps what comes in late for another holder', async () => {
    const body = png();
    await edge.hold();
    const [ours, theirs] = [upload(anna, body), upload(bert, body)];
    await until(async () => (await edge.calls()).restore === 1 && (await holdersOf()) === 2);
    const [origin] = await stored('origins/');
    expect(await erase(anna, `/v1/results/${origin?.split('/')[1]}`)).toBe(204);
    await edge.release();
    expect((await Promise.all([ours, theirs])).map(({ status }) => status)).toEqual([200, 200]);
    expect((await bert(resultPathOf(await theirs))).status).toBe(200);
  });

  it('is not undone by a cache that was being filled', async () => {
    const path = resultPathOf(await upload(anna, png()));
    const ports = createPorts(env);
    const [filling, erased] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
    let reads = 0;
    const results = {
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
