/** A prediction as it is followed: by ETag, and as server-sent events. */
import type { Prediction } from '@deblur/shared/protocol/prediction.ts';
import { env } from 'cloudflare:workers';
import { abortAllDurableObjects, evictDurableObject } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';
import { newTenant, production } from '../access/support.ts';
import { call, edge, problem, problemOf, until } from '../support/gateway.ts';
import { addGhosts, cancel, created, dataUri, ending, get, objectOf } from '../support/predictions.ts';
import { hostedAt, picture, redirect } from '../support/sources.ts';
import { png } from '../support/pictures.ts';
import { onStage } from '../support/subject.ts';

const image = () => dataUri(png());
const restoring = () => until(async () => (await edge.calls()).restore === 1);

interface Event {
  readonly id: number;
  readonly event: string;
  readonly prediction: Prediction;
}

/** The events of a stream until it closes, or until as many have come. */
async function events(response: Response, count = Infinity): Promise<Event[]> {
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  expect(response.headers.get('cache-control')).toBe('no-store');
  const seen: Event[] = [];
  let text = '';
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const fields = new Map(
        text
          .slice(0, end)
          .split('\n')
          .map((line) => [line.split(': ', 1)[0]!, line.replace(/^[^:]*: /, '')]),
      );
      text = text.slice(end + 2);
      const data = fields.get('data');
      if (data === undefined) continue;
      const prediction = JSON.parse(data) as Prediction;
      seen.push({ id: Number(fields.get('id')), event: fields.get('event') ?? '', prediction });
    }
    if (seen.length >= count) break;
  }
  return seen;
}

const stream = (id: string, lastEventId?: number): Promise<Response> =>
  get(id, {
    accept: 'text/event-stream',
    ...(lastEventId === undefined ? {} : { 'last-event-id': String(lastEventId) }),
  });

/** What a job would say, whether or not it does. */
async function say(id: string, sequence: number, event: object): Promise<void> {
  const { urls } = await (await get(id)).json<Prediction>();
  const resultKey = urls.result?.split('/').at(-1) ?? '';
  await objectOf(id).onJobEvent(resultKey, sequence, event as never);
}

describe('the address of a stream', () => {
  it('needs no key, shows one prediction, and cannot be guessed', async () => {
    const { call: send, keyOf } = production();
    const key = await keyOf(newTenant());
    const made = await Promise.all(
      [0, 1].map(async () => {
        const body = JSON.stringify({ input: { image: image() } });
        const headers = { 'content-type': 'application/json' };
        return (await send('/v1/predictions', { method: 'POST', body, headers, key })).json<Prediction>();
      }),
    );
    const [first, second] = made as [Prediction, Prediction];
    const seen = await events(await send(new URL(first.urls.stream).pathname));
    expect(seen.at(-1)).toMatchObject({ event: 'completed', prediction: { id: first.id, status: 'succeeded' } });
    expect((await send(`/v1/predictions/${first.id}`)).status).toBe(404);

    const [tenant, id, secret = ''] = first.urls.stream.split('/').at(-1)?.split('.') ?? [];
    const other = second.urls.stream.split('.').at(-1);
    const turned = secret.startsWith('a') ? `b${secret.slice(1)}` : `a${secret.slice(1)}`;
    for (const token of [`${tenant}.${id}.${turned}`, `${tenant}.${id}.${other}`, `x.${id}.${secret}`, `${id}`, 'x']) {
      expect(await problemOf(await send(`/v1/streams/${token}`)), token).toEqual(problem(404, 'not_found'));
    }
  });

  it('is the prediction itself for what was made before there were such addresses', () => {
    // JSON leaves out what is undefined, as the version before left it out.
    return onStage({ command: { streamSecret: undefined as never } }, async (stage) => {
      await stage.subject().create(stage.command);
      const { urls } = stage.now().prediction;
      expect(urls.stream).toBe(urls.get);
    });
  });
});

describe('a stream', () => {
  it('tells of the start, the progress and the end, and closes', async () => {
    await edge.hold();
    const { id } = await created({ input: { image: image() } });
    await restoring();
    const response = await stream(id);
    const seen = events(response);
    await say(id, 100, { type: 'processing', startedAt: Date.now() });
    await say(id, 101, { type: 'progress', done: 1, total: 2 });
    await say(id, 102, { type: 'failed', error: { code: 'image_undecodable', detail: 'x' } });
    const list = await seen;
    expect(list.at(-1)).toMatchObject({ event: 'completed', prediction: { status: 'failed' } });
    // Changes that follow each other at once may be told as one; their order never changes.
    const names = list.map(({ event }) => event);
    expect(['start', 'progress', 'completed'].filter((name) => names.includes(name))).toEqual([...new Set(names)]);
    const ids = list.map(({ id: revision }) => revision);
    expect(ids).toEqual([...ids].sort((a, b) => a - b));
    await edge.release();
  });

  it('goes on where it was after a reconnection', async () => {
    await edge.hold();
    const { id } = await created({ input: { image: image() } });
    await restoring();
    await say(id, 100, { type: 'processing', startedAt: Date.now() });
    const [first] = await events(await stream(id), 1);
    expect(first).toMatchObject({ event: 'start', prediction: { status: 'processing' } });
    const second = events(await stream(id, first?.id), 1);
    await say(id, 101, { type: 'progress', done: 1, total: 2 });
    expect(await second).toMatchObject([{ event: 'progress', prediction: { progress: { done: 1, total: 2 } } }]);
    const ended = await cancel(id);
    const [last] = await events(await stream(id, (await second)[0]?.id));
    expect(last).toMatchObject({ event: 'completed', prediction: ended });
    await edge.release();
  });

  it('survives its object', async () => {
    await edge.hold();
    const { id } = await created({ input: { image: image() } });
    await restoring();
    const seen = events(await stream(id));
    await abortAllDurableObjects();
    await cancel(id);
    expect((await seen).at(-1)).toMatchObject({ event: 'completed', prediction: { status: 'canceled' } });
    await edge.release();
  });

  it('of what has ended is one event; whoever has seen it is told not to come back', async () => {
    const { id } = await created({ input: { image: image() } });
    const ended = await ending(id);
    const [only, ...more] = await events(await stream(id));
    expect([only?.event, only?.prediction, more]).toEqual(['completed', ended, []]);
    expect((await stream(id, only?.id)).status).toBe(204);
    expect(await events(await stream(id, 0))).toHaveLength(1);
    for (const forged of ['abc', '-1', '9'.repeat(400)]) {
      const response = await get(id, { accept: 'text/event-stream', 'last-event-id': forged });
      expect(await events(response)).toHaveLength(1);
    }
  });

  it('is asked for by its media type only', async () => {
    const { id } = await created({ input: { image: image() } });
    await ending(id);
    for (const accept of ['application/json', '*/*', 'text/*', 'text/event-streams']) {
      const response = await get(id, { accept });
      expect(response.headers.get('content-type')).toBe('application/json');
      expect(response.headers.get('vary')).toBe('Accept');
      await response.arrayBuffer();
    }
    await events(await get(id, { accept: 'application/json;q=0.5, Text/Event-Stream;q=1' }));
  });
});

describe('the ETag', () => {
  it('changes with the prediction and with nothing else', async () => {
    const { id } = await created({ input: { image: await hostedAt({ fault: 'hang' }) } });
    const first = (await get(id)).headers.get('etag') ?? '';
    expect(first).toMatch(/^"\d+"$/);
    const same = await get(id, { 'if-none-match': first });
    expect([same.status, same.headers.get('etag'), await same.text()]).toEqual([304, first, '']);
    await cancel(id);
    const changed = await get(id, { 'if-none-match': first });
    expect(changed.status).toBe(200);
    expect(changed.headers.get('etag')).not.toBe(first);
    expect((await call(`/v1/predictions/${id}`, { method: 'HEAD' })).headers.get('etag')).toBe(
      changed.headers.get('etag'),
    );
  });
});

describe('an object that was evicted', () => {
  it('remembers its prediction', async () => {
    const { id } = await created({ input: { image: image() } });
    const ended = await ending(id);
    await evictDurableObject(objectOf(id));
    expect(await (await get(id)).json()).toEqual(ended);
  });

  it('remembers what its tenant has', async () => {
    const { id } = await created({ input: { image: image() } });
    await ending(id);
    await evictDurableObject(env.PREDICTION_INDEX.get(env.PREDICTION_INDEX.idFromName('local')));
    const { results } = await (await call('/v1/predictions')).json<{ results: Prediction[] }>();
    expect(results[0]?.id).toBe(id);
  });
});

describe('the list', () => {
  it('goes back and forth', async () => {
    const input = { image: image() };
    const older = await ending((await created({ input })).id);
    await addGhosts(50);
    const newer = await created({ input });
    interface Page {
      previous: string | null;
      next: string | null;
      results: Prediction[];
    }
    const page = async (url: string) => (await call(url)).json<Page>();
    const first = await page('/v1/predictions');
    expect(first).toMatchObject({ previous: null, results: [newer] });
    expect(first.next).toMatch(/^https:\/\/deblur\.test\/v1\/predictions\?cursor=/);
    const second = await page(first.next ?? '');
    expect(second.results[0]).toEqual(older);
    expect(await page(second.previous ?? '')).toEqual(first);
  });

  it.each(['?cursor=', '?cursor=abc', `?cursor=o${'9'.repeat(40)}`, "?cursor=o1'--", '?limit=5'])(
    'refuses %s',
    async (query) => {
      const response = await call(`/v1/predictions${query}`);
      expect(response.status).toBe(422);
      await response.arrayBuffer();
    },
  );
});

describe('a create by address', () => {
  it('is answered before the source was asked for, and follows redirects', async () => {
    const bytes = png();
    const target = await hostedAt(picture(bytes));
    const url = await hostedAt(redirect(target));
    const prediction = await created({ input: { image: url } });
    expect(prediction).toMatchObject({ status: 'starting', input: { image: url }, urls: { result: null } });
    expect(await ending(prediction.id)).toMatchObject({ status: 'succeeded', metrics: { cache: 'miss' } });
    const again = await ending((await created({ input: { image: dataUri(bytes) } })).id);
    expect(again.metrics.cache).toBe('hit');
  });
});
