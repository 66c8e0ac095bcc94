import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, inject, it } from 'vitest';
import type { RunnerOperation } from '../../../workers/gateway/runners/ports.ts';
import { GpuRunner } from '../../../workers/gateway/runners/gpu-runner.ts';
import { replicateModel } from '../../../workers/gateway/runners/gpu-target.ts';
import { SignedInternalUrls } from '../../../workers/gateway/runners/internal-urls.ts';
import type { ReplicateState } from '../support/replicate-stand-in.ts';
import { REPORT, requestFor } from './requests.ts';

const TOKEN = 'r8_of_the_tests';
const work: RunnerOperation = { operation: 'restore', task: requestFor().task };

function runner(model = 'acme/deblur', { token = TOKEN, origin = 'https://deblur.test' } = {}) {
  const waits: number[] = [];
  const subject = new GpuRunner({
    target: replicateModel(model, token, `${inject('replicateUrl')}/v1`),
    urls: new SignedInternalUrls({ origin, secret: env.INTERNAL_SECRET }),
    backoff: { attempts: 3, sleep: async (ms) => void waits.push(ms) },
  });
  return { subject, waits };
}

async function control(state?: Partial<ReplicateState>): Promise<ReplicateState> {
  const init = state === undefined ? {} : { method: 'PUT', body: JSON.stringify(state) };
  return (await fetch(`${inject('replicateUrl')}/control`, init)).json<ReplicateState>();
}

beforeEach(async () => {
  await control({});
});

describe('a prediction on Replicate', () => {
  it.each([
    ['acme/deblur', '/v1/models/acme/deblur/predictions', {}],
    ['deployments/acme/deblur', '/v1/deployments/acme/deblur/predictions', {}],
    [`acme/deblur:${'5'.repeat(64)}`, '/v1/predictions', { version: '5'.repeat(64) }],
  ])('of %s is created by one POST that answers at once', async (model, path, more) => {
    const { subject } = runner(model);
    expect(subject.idOf(work, 1)).toBe(null);
    const said = await subject.begin(work, 3);
    expect(said).toEqual({ id: expect.stringMatching(/^[a-z0-9]{26}$/), status: 'starting' });
    const { requests } = await control();
    expect(requests).toEqual([{ method: 'POST', path, prefer: undefined, body: expect.anything() }]);
    expect(requests[0]?.body).toEqual({
      ...more,
      input: expect.objectContaining({ operation: 'restore', image: expect.stringContaining('/internal/sources/') }),
      webhook: expect.stringContaining('https://deblur.test/internal/callbacks/'),
      webhook_events_filter: ['start', 'logs', 'completed'],
    });
    expect(JSON.stringify(requests[0]?.body)).not.toContain(TOKEN);
  });

  it('is not called back where Replicate would not', async () => {
    await runner('acme/deblur', { origin: 'http://127.0.0.1:8787' }).subject.begin(work, 1);
    expect((await control()).requests[0]?.body).not.toHaveProperty('webhook');
  });

  it.each([
    [
      { status: 'succeeded', output: { report: REPORT } },
      { status: 'succeeded', report: REPORT },
    ],
    [{ status: 'succeeded', output: ['https://replicate.delivery/x.png'] }, { error: { code: 'runner_failed' } }],
    [{ status: 'failed', error: 'image_truncated: It ends early.' }, { error: { code: 'image_truncated' } }],
    [{ status: 'failed', error: 'CUDA out of memory' }, { error: { code: 'runner_failed' } }],
    [{ status: 'aborted' }, { status: 'failed', error: { code: 'deadline_exceeded' } }],
    [{ status: 'canceled' }, { status: 'canceled' }],
    [{ status: 'processing', logs: 'tile 1 of 4' }, { status: 'processing' }],
  ])('that ends as %j is understood', async (outcome, expected) => {
    await control({ outcome });
    const { subject } = runner();
    const { id } = await subject.begin(work, 1);
    expect(await subject.look(id)).toMatchObject({ id, ...expected });
  });

  it('is canceled, and one that nobody knows is no failure', async () => {
    await control({ outcome: null });
    const { subject } = runner();
    const { id } = await subject.begin(work, 1);
    await subject.cancel(id);
    expect(await subject.look(id)).toEqual({ id, status: 'canceled' });
    expect(await subject.look('unknown')).toBe(null);
    await subject.cancel('unknown');
  });

  it.each([
    ['rate limited for long', { status: 429, headers: { 'retry-after': '30' } }, 1, 'runner_busy', 30],
    ['down', { status: 503 }, 1, 'runner_unavailable', undefined],
    ['broken', { status: 500 }, 1, 'runner_failed', undefined],
    ['without credit', { status: 402 }, 1, 'runner_failed', undefined],
  ] as const)('is not created twice when Replicate is %s', async (_, problem, calls, code, retryAfterSeconds) => {
    await control({ script: [problem] });
    await expect(runner().subject.begin(work, 1)).rejects.toMatchObject({ code, retryAfterSeconds });
    expect((await control()).requests).toHaveLength(calls);
  });

  it('is created by a second try after a short rate limit, which is known not to have created it', async () => {
    await control({ script: [{ status: 429, headers: { 'retry-after': '2' } }] });
    const { subject, waits } = runner();
    await subject.begin(work, 1);
    expect(waits).toEqual([2000]);
    expect((await control()).requests).toHaveLength(2);
  });

  it('is asked after again when Replicate is broken for a moment', async () => {
    const { subject } = runner();
    const { id } = await subject.begin(work, 1);
    await control({ script: [{ status: 500 }, { status: 502 }] });
    expect(await subject.look(id)).toMatchObject({ id });
    expect((await control()).requests).toHaveLength(3);
  });

  it('is served when the model is there and the token opens it', async () => {
    expect(await runner().subject.health()).toEqual({ ready: true, status: 'READY', models: [] });
    expect(await runner('deployments/acme/deblur').subject.health()).toEqual({
      ready: true,
      status: 'READY',
      models: [],
    });
    expect(await runner('acme/deblur', { token: 'another' }).subject.health()).toEqual({
      ready: false,
      status: 'UNREACHABLE',
    });
  });
});
