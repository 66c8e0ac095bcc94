import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { CALLBACK_BODY_MAX_BYTES } from '@deblur/shared/limits.ts';
import { SignedInternalUrls } from '../../../workers/gateway/runners/internal-urls.ts';
import { call, deblur, gpu, madeHow, problem, problemOf, until } from '../support/gateway.ts';
import { png } from '../support/pictures.ts';

/** What was asked of the runner, but for how it goes: on a busy machine that may be asked before the first callback. */
const handedOver = async () => (await gpu.requests()).filter(({ method }) => method !== 'GET');

const large = () => png({ width: 2000, height: 1000 });

describe('a runner that answers at once and works on by itself', () => {
  it('is waited for by its callbacks', async () => {
    await gpu.set({ works: 'calls back' });
    expect(await madeHow(await deblur(large()))).toBe('200 miss runner image/png');
    // The caller has its answer before the runner has that to its last callback.
    await until(async () => (await handedOver())[0]?.callbacks !== undefined);
    const requests = await handedOver();
    expect(requests.map(({ method }) => method)).toEqual(['PUT']);
    expect(requests[0]?.prefer).toBe('respond-async');
    expect(requests[0]?.prediction).toMatchObject({
      webhook: expect.stringMatching(/\/internal\/callbacks\/[\w.-]+$/),
      webhook_events_filter: ['start', 'logs', 'completed'],
    });
    expect(requests[0]?.callbacks).toEqual([204, 204, 204]);
  });

  it('serves a hundred identical uploads by one inference', async () => {
    await gpu.set({ works: 'calls back' });
    const picture = large();
    const answers = await Promise.all(Array.from({ length: 100 }, () => deblur(picture)));
    const made = await Promise.all(answers.map(madeHow));
    expect(made.filter((how) => how.startsWith('200 miss'))).toHaveLength(1);
    expect(made.filter((how) => how.startsWith('200 coalesced'))).toHaveLength(99);
    expect(await handedOver()).toHaveLength(1);
  });

  it('is asked when it does not call back', async () => {
    await gpu.set({ works: 'silently' });
    expect(await madeHow(await deblur(large()))).toBe('200 miss runner image/png');
    const methods = (await gpu.requests()).map(({ method }) => method);
    expect(methods.slice(0, 2)).toEqual(['PUT', 'GET']);
  });

  it('is asked when it refuses to call back', async () => {
    await gpu.set({ works: 'silently', script: [{ kind: 'status', status: 422 }] });
    expect(await madeHow(await deblur(large()))).toBe('200 miss runner image/png');
    const [first, second] = await gpu.requests();
    expect(first?.prediction).toHaveProperty('webhook');
    expect(second?.prediction).not.toHaveProperty('webhook');
  });

  it('gets the work through the queue when it was full, and the caller waits', async () => {
    await gpu.set({
      works: 'calls back',
      script: [
        { kind: 'status', status: 409 },
        { kind: 'status', status: 409 },
      ],
    });
    const picture = large();
    const [first, second] = await Promise.all([deblur(picture), deblur(picture)]);
    expect([await madeHow(first), await madeHow(second)].sort()).toEqual([
      '200 coalesced runner image/png',
      '200 miss runner image/png',
    ]);
    expect((await handedOver()).map(({ method }) => method)).toEqual(['PUT', 'PUT', 'PUT']);
  });

  it('is given the work again when it was killed', async () => {
    await gpu.set({ works: 'forgets' });
    const answer = deblur(large());
    await until(async () => (await gpu.requests()).some(({ method }) => method === 'GET'));
    await gpu.works('calls back');
    expect(await madeHow(await answer)).toBe('200 miss runner image/png');
    const ids = (await gpu.requests())
      .filter(({ method }) => method === 'PUT')
      .map(({ path }) => path.split('-').at(-1));
    expect(ids.slice(0, 2)).toEqual(['1', '2']);
  });
});

describe('POST /internal/callbacks/{token}', () => {
  const urls = new SignedInternalUrls({ origin: 'https://deblur.test', secret: env.INTERNAL_SECRET });
  const address = { restorationKey: 'ab'.repeat(32), resultKey: 'cd'.repeat(32), attempt: 1 };
  const prediction = JSON.stringify({ id: 'restore-x-1', status: 'failed', error: 'runner_failed: It broke.' });
  const path = async () => new URL(await urls.sign({ purpose: 'callback', ...address })).pathname;
  const post = (to: string, body: BodyInit) => call(to, { method: 'POST', body });

  it('takes what nobody waits for', async () => {
    expect((await post(await path(), prediction)).status).toBe(204);
    expect((await post(await path(), prediction)).status).toBe(204);
  });

  it.each(['', 'text', 'null', '{}', '{"id":"../x","status":"failed"}', '{"id":"x","status":"done"}'])(
    'refuses %j',
    async (body) => {
      expect(await problemOf(await post(await path(), body))).toEqual(problem(400, 'malformed_request'));
    },
  );

  it('refuses too long a body', async () => {
    const body = JSON.stringify({ id: 'x', status: 'processing', logs: 'x'.repeat(CALLBACK_BODY_MAX_BYTES) });
    expect(await problemOf(await post(await path(), body))).toEqual(problem(413, 'body_too_large'));
  });

  it.each([
    ['for reading', { purpose: 'read', kind: 'source', key: 'ab'.repeat(32) }],
    [
      'for writing',
      {
        purpose: 'write',
        kind: 'result',
        key: 'ab'.repeat(32),
        contentType: 'image/png',
        metadata: { model: 'dhnet-edge', modelVersion: 'c', placement: 'runner', restoration: null },
      },
    ],
  ] as const)('refuses a URL %s', async (_, grant) => {
    const { pathname } = new URL(await urls.sign(grant));
    const token = pathname.split('/').at(-1);
    expect(await problemOf(await post(`/internal/callbacks/${token}`, prediction))).toEqual(problem(403, 'forbidden'));
  });

  it('opens nothing else', async () => {
    const token = (await path()).split('/').at(-1);
    expect(await problemOf(await call(`/internal/sources/${token}`))).toEqual(problem(403, 'forbidden'));
  });

  it('refuses a token that is not ours, and other methods', async () => {
    expect(await problemOf(await post('/internal/callbacks/a.b', prediction))).toEqual(problem(403, 'forbidden'));
    expect(await problemOf(await call(await path()))).toEqual(problem(405, 'method_not_allowed'));
  });
});
