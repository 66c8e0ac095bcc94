import type { Prediction } from '@deblur/shared/protocol/prediction.ts';
import { runDurableObjectAlarm } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { createPorts } from '../../../workers/gateway/deps.ts';
import { newPredictionId } from '../../../workers/gateway/predictions/prediction-id.ts';
import { commandOf } from '../support/command.ts';
import { call, edge, problem, problemOf } from '../support/gateway.ts';
import { create, dataUri, ending } from '../support/predictions.ts';
import { png } from '../support/pictures.ts';

const image = () => dataUri(png());
const json = (response: Response) => response.json<Prediction>();

describe('Idempotency-Key', () => {
  const keyed = (body: unknown, key: string, headers: Record<string, string> = {}) =>
    create(body, { headers: { 'idempotency-key': key, ...headers } });

  it('gives the same request its own prediction again, however it is written', async () => {
    const picture = png();
    const first = await json(await keyed({ input: { image: dataUri(picture) } }, 'once-1'));
    const again = await keyed({ input: { image: dataUri(picture), quality: 90 } }, 'once-1', { prefer: 'wait=10' });
    expect(again.status).toBe(201);
    expect(await json(again)).toMatchObject({ id: first.id, status: 'succeeded' });
    const raw = await call('/v1/predictions', {
      method: 'POST',
      body: picture,
      headers: { 'idempotency-key': 'once-1' },
    });
    expect((await json(raw)).id).toBe(first.id);
  });

  it('refuses another request', async () => {
    const body = { input: { image: image() } };
    const { id } = await json(await keyed(body, 'once-2'));
    for (const [other, headers] of [
      [{ input: { image: image() } }, {}],
      [{ input: { ...body.input, quality: 80 } }, {}],
      [body, { 'cancel-after': '1m' }],
    ] as const) {
      expect(await problemOf(await keyed(other, 'once-2', headers))).toEqual(problem(422, 'idempotency_key_reused'));
    }
    await ending(id);
  });

  it('makes one prediction of many equal requests at once', async () => {
    const body = { input: { image: image() } };
    const responses = await Promise.all(Array.from({ length: 20 }, () => keyed(body, 'once-3')));
    const ids = new Set<string>();
    for (const response of responses) {
      if (response.status === 201) ids.add((await json(response)).id);
      else {
        expect(response.headers.get('retry-after')).toBe('1');
        expect(await problemOf(response)).toEqual(problem(409, 'idempotency_conflict'));
      }
    }
    expect(ids.size).toBe(1);
    const [id = ''] = ids;
    await ending(id);
    const { results } = await (await call('/v1/predictions')).json<{ results: Prediction[] }>();
    expect(
      results.filter((prediction) => prediction.input['image'] === (results[0]?.input['image'] ?? '')),
    ).toHaveLength(1);
    expect((await edge.calls()).restore).toBe(1);
  });

  it('keeps its id after a create that failed, for as long as it may be retried', async () => {
    const index = env.PREDICTION_INDEX.get(env.PREDICTION_INDEX.idFromName('kept'));
    const first = newPredictionId();
    await index.claim('k', 'one', first);
    await index.release('k', first);
    await runDurableObjectAlarm(index);
    expect(await index.claim('k', 'one', newPredictionId())).toEqual({ outcome: 'claimed', id: first });
  });

  it('is free for another request after a create that failed', async () => {
    const index = env.PREDICTION_INDEX.get(env.PREDICTION_INDEX.idFromName('freed'));
    const [first, second] = [newPredictionId(), newPredictionId()];
    await index.claim('k', 'one', first);
    await index.release('k', first);
    expect(await index.claim('k', 'other', second)).toEqual({ outcome: 'claimed', id: second });
    await index.release('k', first);
    expect(await index.claim('k', 'other', first)).toEqual({ outcome: 'in_flight' });
  });

  it('is 409 while its create is under way, and is taken over when that never came to its end', async () => {
    const { predictions } = createPorts(env);
    const index = env.PREDICTION_INDEX.get(env.PREDICTION_INDEX.idFromName('keys'));
    const draft = { ...commandOf(), tenantId: 'keys' };
    const repeatable = { idempotencyKey: 'k', idIsChosen: false };
    const createAs = async (fingerprint: string) => {
      const reservation = await predictions.reserve({ ...draft, fingerprint }, repeatable);
      if (reservation.kind === 'existing') return reservation;
      return predictions.create({ ...draft, fingerprint, id: reservation.id }, repeatable);
    };
    const abandoned = newPredictionId();
    expect(await index.claim('k', draft.fingerprint, abandoned)).toEqual({ outcome: 'claimed', id: abandoned });
    await expect(createAs(draft.fingerprint)).rejects.toEqual(
      expect.objectContaining({ code: 'idempotency_conflict' }),
    );
    await index.release('k', abandoned);
    // Its caller was told of a failure, and cannot know that there is no prediction.
    expect((await createAs(draft.fingerprint)).snapshot.prediction.id).toBe(abandoned);
    await expect(createAs('x')).rejects.toEqual(expect.objectContaining({ code: 'idempotency_key_reused' }));
    await predictions.cancel('keys', abandoned);
  });

  it.each(['', 'x'.repeat(256), 'ключ'.normalize()])('is refused when it is "%s"', async (key) => {
    const header = key === 'ключ' ? 'a\x80b' : key;
    const response = await create({ input: { image: image() } }, { headers: { 'idempotency-key': header } });
    expect(await problemOf(response)).toEqual(problem(422, 'invalid_option'));
  });
});

describe('PUT', () => {
  const put = (id: string, body: unknown, headers: Record<string, string> = {}) =>
    create(body, { method: 'PUT', path: `/v1/predictions/${id}`, headers });

  it('creates by the id that it names, once', async () => {
    const id = newPredictionId();
    const body = { id, input: { image: image() } };
    const first = await put(id, body);
    expect([first.status, (await json(first)).id]).toEqual([201, id]);
    await ending(id);
    const again = await put(id, body);
    expect([again.status, (await json(again)).status]).toEqual([200, 'succeeded']);
    expect((await edge.calls()).restore).toBe(1);
  });

  it('is 202 while the work goes on', async () => {
    await edge.hold();
    const id = newPredictionId();
    const body = { input: { image: image() } };
    expect((await put(id, body, { prefer: 'respond-async' })).status).toBe(202);
    expect((await put(id, body, { prefer: 'respond-async' })).status).toBe(202);
    await edge.release();
    await ending(id);
  });

  it('is one prediction, however many put it at once', async () => {
    const id = newPredictionId();
    const body = { input: { image: image() } };
    const statuses = (await Promise.all(Array.from({ length: 10 }, () => put(id, body)))).map(({ status }) => status);
    expect(statuses.sort()).toEqual([...Array.from({ length: 9 }, () => 200), 201]);
    await ending(id);
    expect((await edge.calls()).restore).toBe(1);
  });

  it('refuses another request under the same id, another id in the body, and an id that is none', async () => {
    const id = newPredictionId();
    const body = { input: { image: image() } };
    await put(id, body);
    expect(await problemOf(await put(id, { input: { image: image() } }))).toEqual(
      problem(422, 'idempotency_key_reused'),
    );
    expect(await problemOf(await put(id, { ...body, id: newPredictionId() }))).toEqual(problem(422, 'invalid_option'));
    for (const bad of ['short', 'x'.repeat(27), id.toUpperCase()]) {
      expect(await problemOf(await put(bad, body))).toEqual(problem(422, 'invalid_option'));
    }
    await ending(id);
  });
});
