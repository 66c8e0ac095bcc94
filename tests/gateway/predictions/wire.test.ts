/** Every message of the predictions API, as it is on the wire. A change here is a change for every client. */
import { predictionListSchema, predictionSchema, type PredictionList } from '@deblur/shared/protocol/prediction.ts';
import { describe, expect, it } from 'vitest';
import type { JobEvent } from '../../../workers/gateway/jobs/ports.ts';
import { call, edge } from '../support/gateway.ts';
import { create, created, dataUri, ending } from '../support/predictions.ts';
import { hostedAt } from '../support/sources.ts';
import { png } from '../support/pictures.ts';
import { onStage, type Stage } from '../support/subject.ts';

/** What is another each time, by what it is. */
function shape(value: unknown): unknown {
  const text = JSON.stringify(value)
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>')
    .replace(/\b[0-9a-f]{64}\b/g, '<sha256>')
    .replace(/\b[a-z2-7]{26}\b/g, '<id>')
    .replace(/"(predict|total|queue)_time":[\d.]+/g, '"$1_time":"<seconds>"')
    .replace(/"request_id":"[^"]+"/g, '"request_id":"<request id>"')
    .replace(/http:\/\/127\.0\.0\.1:\d+\/pictures\/\d+/g, '<address>');
  return JSON.parse(text) as unknown;
}

const report = {
  cache: 'miss',
  queueMs: 1,
  runMs: 2,
  restore: { tiles: 4, width: 8, height: 8, decodeMs: 1, restoreMs: 3, inferMs: 2, encodeMs: 1 },
} as const;

const EVENTS: readonly JobEvent[] = [
  { type: 'processing', startedAt: 0 },
  { type: 'progress', done: 1, total: 4 },
  { type: 'succeeded', report },
];

async function played(stage: Stage, count: number): Promise<unknown> {
  await stage.subject().create(stage.command);
  await stage.storeResult();
  for (const [sequence, event] of EVENTS.slice(0, count).entries()) {
    await stage.subject().onJobEvent(stage.resultKey, sequence, event);
  }
  const { prediction } = stage.now();
  expect(predictionSchema.parse(prediction)).toEqual(prediction);
  return shape(prediction);
}

describe('a prediction', () => {
  it.each([
    ['starting', 0],
    ['processing', 1],
    ['progress', 2],
    ['succeeded', 3],
  ])('%s', (name, count) =>
    onStage({}, async (stage) => {
      expect(await played(stage, count)).toMatchSnapshot(name);
    }),
  );

  it('canceled', () =>
    onStage({}, async (stage) => {
      await played(stage, 2);
      stage.subject().cancel();
      expect(shape(stage.now().prediction)).toMatchSnapshot('canceled');
    }));

  it('failed', () =>
    onStage({}, async (stage) => {
      await played(stage, 1);
      const error = { code: 'image_undecodable', detail: 'The data is broken.' } as const;
      await stage.subject().onJobEvent(stage.resultKey, 9, { type: 'failed', error });
      expect(shape(stage.now().prediction)).toMatchSnapshot('failed');
    }));

  it('webhook', () =>
    onStage({ webhooks: true, command: { webhook: 'https://example.com/hook' } }, async (stage) => {
      await played(stage, 3);
      expect(shape(JSON.parse(stage.deliveries[0]?.body ?? ''))).toMatchSnapshot('webhook');
    }));
});

describe('an answer', () => {
  it('to a create by address', async () => {
    const url = await hostedAt({ fault: 'hang' });
    const prediction = await created({ input: { image: url, quality: 80 }, webhook_events_filter: ['completed'] });
    expect(shape(prediction)).toMatchSnapshot('created by address');
    await call(`/v1/predictions/${prediction.id}/cancel`, { method: 'POST' });
  });

  it('to a create of what is there', async () => {
    const input = { image: dataUri(png()) };
    await ending((await created({ input })).id);
    expect(shape(await created({ input }))).toMatchSnapshot('created as a hit');
  });

  it('that lists', async () => {
    const { id } = await created({ input: { image: dataUri(png()) } });
    await ending(id);
    const list = await (await call('/v1/predictions')).json<PredictionList>();
    expect(predictionListSchema.parse(list)).toEqual(list);
    expect(shape({ ...list, results: list.results.slice(0, 1), previous: null, next: null })).toMatchSnapshot('list');
  });

  it('of POST /v1/deblur whose wait expires', async () => {
    await edge.hold();
    const headers = { prefer: 'respond-async', 'content-type': 'image/png' };
    const response = await call('/v1/deblur?quality=70', { method: 'POST', body: png(), headers });
    const prediction = await response.json<{ id: string }>();
    expect(shape(prediction)).toMatchSnapshot('deblur pending');
    await edge.release();
    await ending(prediction.id);
  });

  it.each([
    ['a problem of an option', { input: { image: 'https://example.com/a.png', quality: 0 } }],
    ['a problem of a model', { version: 'dhnet', input: { image: 'https://example.com/a.png' } }],
    ['a problem of an address', { input: { image: 'https://localhost/a.png' } }],
  ])('%s', async (name, body) => {
    expect(shape(await (await create(body)).json())).toMatchSnapshot(name);
  });
});
