import {
  abortAllDurableObjects,
  listDurableObjectIds,
  runDurableObjectAlarm,
  runInDurableObject,
} from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { JOB_MAX_ATTEMPTS } from '@deblur/shared/limits.ts';
import type { Prediction } from '@deblur/shared/protocol/prediction.ts';
import { describe, expect, it } from 'vitest';
import {
  deblur,
  deblurOverSocket,
  edge,
  gpu,
  madeHow,
  problem,
  problemOf,
  resultPathOf,
  call,
  stored,
  until,
} from './support/gateway.ts';
import { jpeg, png } from './support/pictures.ts';
import type { JobRequest } from '../../workers/gateway/jobs/ports.ts';
import { cancel, ending, objectOf } from './support/predictions.ts';

/** How often each answer came, in any order. */
async function tally(responses: readonly Promise<Response>[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const how of await Promise.all(responses.map(async (response) => madeHow(await response)))) {
    counts[how] = (counts[how] ?? 0) + 1;
  }
  return counts;
}

/** What has become of the job of a prediction. */
async function jobStateOf(id: string): Promise<unknown> {
  const { restorationKey, resultKey } = await runInDurableObject(objectOf(id), (_, { storage }) => {
    const { job } = storage.sql.exec<{ job: string }>('SELECT job FROM prediction').one();
    return (JSON.parse(job) as JobRequest).task;
  });
  const query = 'SELECT state FROM job_task WHERE result_key = ?';
  return runInDurableObject(
    env.JOBS.getByName(restorationKey),
    (_, { storage }) => storage.sql.exec(query, resultKey).one()['state'],
  );
}

const restorations = async () => (await edge.calls()).restore;

describe('the working scale', () => {
  it('reaches the restorer, is said in the answer, and names another restoration', async () => {
    const picture = png();
    const [automatic, third] = [await deblur(picture), await deblur(picture, '?working_scale=3')];
    expect([automatic, third].map(({ headers }) => headers.get('x-scale'))).toEqual(['1', '3']);
    expect(third.headers.get('x-change')).toBe('mean=1.5, max=20, sharpness=1.25');
    expect(resultPathOf(third)).not.toBe(resultPathOf(automatic));
    expect(await restorations()).toBe(2);
    const again = await deblur(picture, '?working_scale=3');
    expect(again.headers.get('x-cache')).toBe('hit');
    expect(again.headers.get('x-scale')).toBeNull();
  });

  it.each(['0', '5', 'half', '1.5'])('is not %s', async (scale) => {
    const response = await deblur(png(), `?working_scale=${scale}`);
    expect(await problemOf(response)).toMatchObject({ status: 422, code: 'invalid_option' });
  });
});

describe('an answer', () => {
  it('is the picture, and says how it was made', async () => {
    const response = await deblur(png(), '?format=webp&quality=80', { 'x-request-id': 'caller-7' });
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'image/webp',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-request-id': 'caller-7',
      'x-cache': 'miss',
      'x-placement': 'edge',
      'x-model': expect.stringMatching(/^dhnet-edge@[0-9a-f]{12}$/),
      link: expect.stringMatching(/^<\/v1\/results\/[0-9a-f]{64}>; rel="canonical"$/),
    });
    const spans = response.headers
      .get('server-timing')
      ?.split(', ')
      .map((span) => span.split(';dur=')[0]);
    expect(spans).toEqual(['hash', 'lookup', 'queue', 'run', 'decode', 'restore', 'infer', 'encode', 'total']);
    const text = await response.text();
    expect(text).toMatch(/^\{"format":"webp","quality":80,"metadata":"keep"\}\|master:/);
    expect(await (await call(resultPathOf(response))).text()).toBe(text);
  });

  it('is a hit the second time, without the runner', async () => {
    const picture = png();
    const first = await deblur(picture);
    const second = await deblur(picture);
    expect(second.headers.get('x-cache')).toBe('hit');
    expect(second.headers.get('x-placement')).toBe('edge');
    expect(second.headers.get('server-timing')).toMatch(/^hash;dur=[\d.]+, lookup;dur=[\d.]+, total;dur=[\d.]+$/);
    expect(await second.text()).toBe(await first.text());
    expect(await edge.calls()).toEqual({ restore: 1, encode: 0 });
  });

  it('is another one for other options and for another picture', async () => {
    const picture = png();
    const links = await Promise.all(
      [deblur(picture), deblur(picture, '?metadata=strip'), deblur(jpeg()), deblur(picture, '?tile=256')].map(
        async (response) => resultPathOf(await response),
      ),
    );
    expect(new Set(links).size).toBe(4);
  });
});

describe('single flight', () => {
  it('makes one inference of a hundred identical uploads', async () => {
    const picture = png();
    await edge.hold();
    const requests = Array.from({ length: 100 }, () => deblur(picture));
    await until(async () => (await restorations()) === 1);
    await edge.release();
    expect(await tally(requests)).toEqual({ '200 miss edge image/png': 1, '200 coalesced edge image/png': 99 });
    expect(await edge.calls()).toEqual({ restore: 1, encode: 0 });
  });

  it('makes one inference of uploads in different formats', async () => {
    const picture = png();
    await edge.hold();
    const first = deblur(picture, '?format=png');
    await until(async () => (await restorations()) === 1);
    const others = [deblur(picture, '?format=webp'), deblur(picture, '?format=jpeg'), deblur(picture, '?format=jpeg')];
    await edge.release();
    expect(await tally([first, ...others])).toEqual({
      '200 miss edge image/png': 1,
      '200 coalesced edge image/webp': 1,
      '200 coalesced edge image/jpeg': 2,
    });
    expect(await edge.calls()).toEqual({ restore: 1, encode: 2 });
  });

  it('encodes a later format from the master, and says hit', async () => {
    const picture = png();
    await deblur(picture);
    const webp = await deblur(picture, '?format=webp');
    expect(webp.headers.get('server-timing')).toMatch(/run;dur=[\d.]+, encode;dur=/);
    expect(webp.headers.get('server-timing')).not.toContain('infer');
    expect(await madeHow(webp)).toBe('200 hit edge image/webp');
    // What the edge cannot write, the runner does, from the edge's master.
    expect(await madeHow(await deblur(picture, '?format=avif'))).toBe('200 hit edge image/avif');
    expect(await edge.calls()).toEqual({ restore: 1, encode: 1 });
    const [request] = await gpu.requests();
    expect(request?.prediction?.input).toMatchObject({ operation: 'encode', format: 'avif' });
    expect(request?.prediction?.input).not.toHaveProperty('model');
    expect(request?.uploads).toEqual([204]);
  });

  it('forgets a failure: whoever waited gets it, whoever comes next starts anew', async () => {
    const picture = png();
    await edge.failNext({ code: 'image_undecodable', detail: 'The data is broken.' });
    await edge.hold();
    const requests = [deblur(picture), deblur(picture), deblur(picture, '?format=webp')];
    await until(async () => (await restorations()) === 1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await edge.release();
    for (const response of await Promise.all(requests)) {
      expect(await problemOf(response)).toEqual(problem(422, 'image_undecodable'));
    }
    expect(await restorations()).toBe(1);
    expect(await madeHow(await deblur(picture))).toBe('200 miss edge image/png');
  });
});

describe('work outlives whoever asked for it', () => {
  it('is a prediction when the wait expires, is finished all the same, and then hits', async () => {
    const picture = png();
    await edge.hold();
    const late = await deblur(picture, '?quality=80', { prefer: 'respond-async, wait=1', accept: 'image/webp' });
    expect(late.status).toBe(202);
    expect(Object.fromEntries(late.headers)).toMatchObject({
      'retry-after': '5',
      'preference-applied': 'wait=1',
      'cache-control': 'no-store',
      location: expect.stringMatching(/^\/v1\/predictions\/[a-z2-7]{26}$/),
    });
    const prediction = await late.json<Prediction>();
    expect(prediction).toMatchObject({
      status: 'starting',
      model: 'deblur/dhnet-edge',
      input: { format: 'webp', quality: 80, metadata: 'keep' },
    });
    await edge.release();
    const ended = await ending(prediction.id);
    expect(ended).toMatchObject({ status: 'succeeded', output: prediction.urls.result });
    expect((await call(ended.output ?? '')).headers.get('content-type')).toBe('image/webp');
    expect(await madeHow(await deblur(picture, '?quality=80&format=webp', { prefer: 'wait=1' }))).toBe(
      '200 hit edge image/webp',
    );
    expect(await edge.calls()).toEqual({ restore: 1, encode: 0 });
  });

  it('ends with its prediction when nobody else wants it', async () => {
    await edge.hold();
    const late = await deblur(png(), '', { prefer: 'wait=1' });
    const { id } = await late.json<Prediction>();
    expect(await cancel(id)).toMatchObject({ status: 'canceled' });
    await until(async () => (await jobStateOf(id)) === 'canceled');
    await edge.release();
  });

  it('ends with the deadline of Cancel-After, which is also its prediction’s', async () => {
    await edge.hold();
    const picture = png();
    const [ended, late] = await Promise.all([
      deblur(picture, '', { 'cancel-after': '5s', prefer: 'wait=30' }),
      deblur(png(), '', { 'cancel-after': '5s', prefer: 'wait=4' }),
    ]);
    expect(await problemOf(ended)).toEqual(problem(504, 'deadline_exceeded'));
    const { id, created_at: createdAt } = await late.json<Prediction>();
    const prediction = await ending(id);
    expect(prediction).toMatchObject({ status: 'failed', error: expect.stringContaining('deadline_exceeded') });
    expect(Date.parse(prediction.completed_at ?? '') - Date.parse(createdAt)).toBeLessThan(4000);
    await edge.release();
  });

  it('is a prediction at once with respond-async, unless it is there already', async () => {
    const picture = png();
    await edge.hold();
    const started = await deblur(picture, '', { prefer: 'respond-async' });
    expect(started.status).toBe(202);
    expect(started.headers.get('preference-applied')).toBe('respond-async');
    await edge.release();
    await ending((await started.json<Prediction>()).id);
    const objects = await listDurableObjectIds(env.PREDICTIONS);
    const hit = await deblur(picture, '', { prefer: 'respond-async' });
    expect(hit.headers.has('preference-applied')).toBe(false);
    expect(await madeHow(hit)).toBe('200 hit edge image/png');
    await deblur(png());
    // Neither a hit nor a quick miss has made a prediction.
    expect(await listDurableObjectIds(env.PREDICTIONS)).toHaveLength(objects.length);
  });

  it('is finished when the caller hangs up', async () => {
    const picture = png();
    await edge.hold();
    const caller = new AbortController();
    const request = deblurOverSocket(picture, { signal: caller.signal });
    await until(async () => (await restorations()) === 1);
    caller.abort();
    await expect(request).rejects.toThrow();
    await new Promise((resolve) => setTimeout(resolve, 200));
    await edge.release();
    await until(async () => (await stored('results/')).length === 1);
    expect(await madeHow(await deblur(picture))).toBe('200 hit edge image/png');
    expect(await restorations()).toBe(1);
  });

  it('is taken up again by the alarm when its object died in the middle', async () => {
    const before = new Set((await listDurableObjectIds(env.JOBS)).map(String));
    const picture = png();
    await edge.hold();
    const request = deblur(picture, '', { prefer: 'wait=1' });
    await until(async () => (await restorations()) === 1);
    const id = (await listDurableObjectIds(env.JOBS)).find((candidate) => !before.has(String(candidate)));
    if (id === undefined) throw new Error('no object was made');
    await abortAllDurableObjects();
    await (await request).arrayBuffer();
    await edge.release();
    await runDurableObjectAlarm(env.JOBS.get(id));
    await until(async () => (await stored('results/')).length === 1);
    expect(await madeHow(await deblur(picture))).toBe('200 hit edge image/png');
  });
});

describe('a runner that fails', () => {
  it.each([
    ['breaks', 'throw', 502, 'runner_failed'],
    ['fails in a way it has no word for', { code: 'internal', detail: 'secret path /srv' }, 502, 'runner_failed'],
    ['has another version', { code: 'model_unavailable', detail: '' }, 503, 'runner_unavailable'],
    ['is busy', { code: 'runner_busy', detail: 'Every slot is busy.' }, 503, 'runner_busy'],
    ['cannot read the picture', { code: 'image_truncated', detail: 'It ends early.' }, 422, 'image_truncated'],
    ['claims a failure that is not its own', { code: 'forbidden', detail: '' }, 502, 'runner_failed'],
  ] as const)('at the edge: %s', async (_, failure, status, code) => {
    // As often as it is tried.
    await edge.failNext(...Array.from({ length: JOB_MAX_ATTEMPTS }, () => failure));
    const response = await deblur(png());
    expect(response.headers.has('retry-after')).toBe(status === 503);
    expect(await response.clone().text()).not.toContain('/srv');
    expect(await problemOf(response)).toEqual(problem(status, code));
    expect(await stored('results/')).toEqual([]);
  });
});

describe('an edge runner that falls over once', () => {
  it('is asked again', async () => {
    await edge.failNext('throw');
    expect(await madeHow(await deblur(png()))).toBe('200 miss edge image/png');
    expect(await restorations()).toBe(2);
  });
});

describe('placement', () => {
  const large = { width: 2000, height: 1000 };

  it.each([
    ['what the edge cannot hold', png(large), '', 'image/png'],
    ['16 bits', png({ depth: 16 }), '', 'image/png'],
    ['CMYK', jpeg({ components: 4 }), '', 'image/jpeg'],
    ['AVIF out', png(), '?format=avif', 'image/avif'],
    ['a tile size', png(), '?tile=256', 'image/png'],
    ['the runner by name', png(), '?placement=runner', 'image/png'],
  ])('sends to the runner: %s', async (_, picture, query, type) => {
    expect(await madeHow(await deblur(picture, query))).toBe(`200 miss runner ${type}`);
    expect(await madeHow(await deblur(picture, query))).toBe(`200 hit runner ${type}`);
    expect(await edge.calls()).toEqual({ restore: 0, encode: 0 });
    const requests = await gpu.requests();
    expect(requests.map(({ method, uploads }) => [method, uploads])).toEqual([['PUT', [204, 204]]]);
  });

  it('encodes again where the master fits', async () => {
    const picture = png(large);
    await deblur(picture);
    expect(await madeHow(await deblur(picture, '?format=jpeg'))).toBe('200 hit runner image/jpeg');
    expect((await gpu.requests()).map(({ prediction }) => prediction?.input.operation)).toEqual(['restore', 'encode']);
    const small = jpeg({ components: 4 });
    await deblur(small);
    expect(await madeHow(await deblur(small, '?format=webp'))).toBe('200 hit runner image/webp');
    expect(await edge.calls()).toEqual({ restore: 0, encode: 1 });
  });
});
