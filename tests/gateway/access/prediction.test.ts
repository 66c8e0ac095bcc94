/** Predictions with keys, files, prices and webhooks: the parts together. */
import { env } from 'cloudflare:workers';
import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { beforeEach, describe, expect, it } from 'vitest';
import { verifyWebhook } from '@deblur/shared/protocol/standard-webhooks.ts';
import { predictionName } from '../../../workers/gateway/predictions/prediction-id.ts';
import { call, problem, problemOf, until } from '../support/gateway.ts';
import { png } from '../support/pictures.ts';
import { receiver } from '../support/receiver.ts';
import { newTenant, production } from './support.ts';

const { url: webhook, answer, received } = receiver;

beforeEach(() => answer());

interface Log {
  readonly results: {
    readonly state: string;
    readonly type: string;
    readonly webhook_id: string;
    readonly attempts: { readonly status: number | null; readonly at: string; readonly latency_ms: number }[];
  }[];
}

const image = () => `data:image/png;base64,${png().toBase64()}`;
const create = (body: object) => ({
  method: 'POST',
  body: JSON.stringify(body),
  headers: { 'content-type': 'application/json' },
});
const stubOf = (tenant: string, id: string) =>
  env.PREDICTIONS.get(env.PREDICTIONS.idFromName(predictionName(tenant, id)));

describe('a webhook of a prediction', () => {
  it('comes signed by the tenant’s secret, in order, and is logged; a replay comes once more', async () => {
    const created = await call('/v1/predictions', create({ input: { image: image() }, webhook }));
    const { id } = await created.json<{ id: string }>();
    await until(async () => (await received()).some(({ body }) => body.includes('prediction.completed')));
    const { key } = await (await call('/v1/webhooks/default/secret')).json<{ key: string }>();
    const messages = await received();
    for (const { headers, body } of messages) await verifyWebhook(headers, body, key);
    const types = messages.map(({ body }) => (JSON.parse(body) as { type: string }).type);
    expect(types.at(-1)).toBe('prediction.completed');
    expect(types.filter((type) => type === 'prediction.completed')).toHaveLength(1);
    expect(JSON.parse(messages.at(-1)?.body ?? '')).toMatchObject({
      id,
      status: 'succeeded',
      type: 'prediction.completed',
    });

    const path = `/v1/predictions/${id}/deliveries`;
    const log = async () => (await (await call(path)).json<Log>()).results;
    await until(async () => (await log()).at(-1)?.state === 'delivered');
    const before = await log();
    expect(before.at(-1)).toMatchObject({ type: 'prediction.completed', attempts: [{ status: 204 }] });
    expect((await call(`${path}/${before.length}/replay`, { method: 'POST' })).status).toBe(202);
    await runDurableObjectAlarm(stubOf('local', id));
    await until(async () => (await log()).at(-1)?.attempts.length === 2);
    expect((await received()).at(-1)?.headers['webhook-id']).toBe(before.at(-1)?.webhook_id);
    expect(await problemOf(await call(`${path}/99/replay`, { method: 'POST' }))).toEqual(problem(404, 'not_found'));
    await runInDurableObject(stubOf('local', id), (_, { storage }) =>
      storage.sql.exec(`UPDATE delivery SET body = ''`),
    );
    expect(await problemOf(await call(`${path}/1/replay`, { method: 'POST' }))).toEqual(problem(410, 'gone'));
    expect(await problemOf(await call(`${path}/x/replay`, { method: 'POST' }))).toEqual(problem(404, 'not_found'));
  });

  it('that fails changes nothing of the prediction', async () => {
    await answer(...Array.from({ length: 20 }, () => ({ status: 500 })));
    const body = { input: { image: image() }, webhook, webhook_events_filter: ['completed'] };
    const { id } = await (await call('/v1/predictions', create(body))).json<{ id: string }>();
    await until(async () => (await received()).length > 0);
    const prediction = await (await call(`/v1/predictions/${id}`)).json<{ status: string }>();
    expect(prediction.status).toBe('succeeded');
    const log = await (await call(`/v1/predictions/${id}/deliveries`)).json<Log>();
    expect(log.results).toMatchObject([{ state: 'pending', type: 'prediction.completed' }]);
  });

  it('is for who has a key, and its log is the tenant’s own', async () => {
    const { call: send, keyOf } = production();
    const [ours, theirs] = await Promise.all([keyOf(newTenant()), keyOf(newTenant())]);
    const anonymous = await send(
      '/v1/predictions',
      create({ input: { image: image() }, webhook: 'https://a.example.com/' }),
    );
    expect(await problemOf(anonymous)).toEqual(problem(401, 'unauthorized'));
    const made = await send('/v1/predictions', { ...create({ input: { image: image() } }), key: ours });
    const { id } = await made.json<{ id: string }>();
    expect((await send(`/v1/predictions/${id}/deliveries`, { key: ours })).status).toBe(200);
    for (const path of [`/v1/predictions/${id}`, `/v1/predictions/${id}/deliveries`]) {
      expect(await problemOf(await send(path, { key: theirs }))).toEqual(problem(404, 'not_found'));
    }
    const replay = await send(`/v1/predictions/${id}/deliveries/1/replay`, { method: 'POST', key: theirs });
    expect(await problemOf(replay)).toEqual(problem(404, 'not_found'));
    expect((await send('/v1/predictions')).status).toBe(401);
  });
});

describe('a file as the picture of a prediction', () => {
  it('is the tenant’s own, by its id and by its address', async () => {
    const { call: send, keyOf } = production();
    const [ours, theirs] = await Promise.all([keyOf(newTenant()), keyOf(newTenant())]);
    const form = new FormData();
    form.append('content', new Blob([png()]), 'blurred.png');
    const uploaded = await send('/v1/files', { method: 'POST', body: form, key: ours });
    const { id, urls } = await uploaded.json<{ id: string; urls: { get: string } }>();
    for (const image of [id, urls.get]) {
      expect((await send('/v1/predictions', { ...create({ input: { image } }), key: ours })).status).toBe(201);
      const foreign = await send('/v1/predictions', { ...create({ input: { image } }), key: theirs });
      expect(await problemOf(foreign)).toEqual(problem(422, 'invalid_option'));
    }
  });
});

it('a prediction is paid for like an upload, an address first by a flat price', async () => {
  const { call: send } = production();
  const large = `data:image/png;base64,${png({ width: 5000, height: 5000 }).toBase64()}`;
  const left = ({ headers }: Response) => /r=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1];
  const first = await send('/v1/predictions', create({ input: { image: large } }));
  expect([first.status, left(first)]).toEqual([201, '35']);
  const address = await send('/v1/predictions', create({ input: { image: 'https://pictures.example.com/a.png' } }));
  expect([address.status, left(address)]).toEqual([201, '34']);
  const again = `data:image/png;base64,${png({ width: 6000, height: 6000 }).toBase64()}`;
  expect(await problemOf(await send('/v1/predictions', create({ input: { image: again } })))).toEqual(
    problem(429, 'rate_limited'),
  );
});
