import { env } from 'cloudflare:workers';
import { PictureKeys } from '@deblur/shared/protocol/result-key.ts';
import { JOB_MAX_ATTEMPTS, RESULT_UPLOAD_PART_BYTES } from '@deblur/shared/limits.ts';
import { describe, expect, it } from 'vitest';
import type { RunnerOperation } from '../../workers/gateway/runners/ports.ts';
import { GpuRunner, type GpuRunnerOptions } from '../../workers/gateway/runners/gpu-runner.ts';
import { readRemoteState } from '../../workers/gateway/runners/remote-state.ts';
import { ownRunner } from '../../workers/gateway/runners/gpu-target.ts';
import { SignedInternalUrls } from '../../workers/gateway/runners/internal-urls.ts';
import { SourceStore } from '../../workers/gateway/sources/source-store.ts';
import { call, deblur, gpu, problem, problemOf } from './support/gateway.ts';
import { png } from './support/pictures.ts';

/** A runner whose waits are noted instead of waited. */
const keys = new PictureKeys('k'.repeat(32));

function runner({ url = env.RUNNER_URL, ...options }: Partial<GpuRunnerOptions> & { url?: string } = {}) {
  const waits: number[] = [];
  const urls = new SignedInternalUrls({ origin: env.INTERNAL_ORIGIN, secret: env.INTERNAL_SECRET });
  const sleep = async (ms: number): Promise<void> => void waits.push(ms);
  const target = ownRunner(url, env.RUNNER_TOKEN);
  const subject = new GpuRunner({ target, urls, backoff: { attempts: 4, sleep }, ...options });
  return { subject, waits };
}

async function restoration(): Promise<Extract<RunnerOperation, { operation: 'restore' }>> {
  const picture = png();
  const source = await new SourceStore(env.STORE, keys).receive(
    (async function* () {
      yield picture;
    })(),
  );
  await source.keep('local');
  const task = {
    restorationKey: crypto.getRandomValues(new Uint8Array(32)).toHex(),
    resultKey: crypto.getRandomValues(new Uint8Array(32)).toHex(),
    sourceKey: await keys.source('local', source.digest),
    restoration: null,
    model: 'dhnet-edge',
    modelVersion: 'c'.repeat(64),
    encoding: { format: 'webp', quality: 90, metadata: 'keep' },
  } as const;
  return { operation: 'restore', task };
}

const failure = (code: string) => expect.objectContaining({ code });

describe('the GPU runner', () => {
  it('is asked by an idempotent PUT, with internal URLs and without a file', async () => {
    const { task } = await restoration();
    const { subject } = runner();
    const said = await subject.begin({ operation: 'restore', task: { ...task, tile: 256 } }, 2);
    const id = `restore-${task.resultKey}-2`;
    expect(subject.idOf({ operation: 'restore', task }, 2)).toBe(id);
    expect(said).toMatchObject({ id, status: 'succeeded', report: { tiles: 4, inferMs: 2 } });
    const [request] = await gpu.requests();
    expect(request).toMatchObject({
      method: 'PUT',
      path: `/predictions/${id}`,
      prefer: 'respond-async',
      authorization: `Bearer ${env.RUNNER_TOKEN}`,
      source: { status: 200 },
      uploads: [204, 204],
    });
    expect(request?.prediction).toEqual({
      id,
      input: {
        operation: 'restore',
        image: expect.stringContaining('/internal/sources/'),
        model: 'dhnet-edge',
        model_version: task.modelVersion,
        format: 'webp',
        quality: 90,
        metadata: 'keep',
        tile: 256,
        master_upload_url: expect.stringContaining('/internal/results/'),
        result_upload_url: expect.stringContaining('/internal/results/'),
        upload_part_bytes: RESULT_UPLOAD_PART_BYTES,
      },
      webhook: expect.stringContaining('/internal/callbacks/'),
      webhook_events_filter: ['start', 'logs', 'completed'],
    });
    // Trap of the client's data-uri strategy: the client itself, token included, in the body.
    expect(JSON.stringify(request?.prediction)).not.toContain(env.RUNNER_TOKEN);
  });

  it('backs off after a failure, each time longer, and then succeeds', async () => {
    const status = { kind: 'status', status: 500 } as const;
    await gpu.set({ script: [status, status, { ...status, status: 503 }] });
    const { subject, waits } = runner();
    await subject.begin(await restoration(), 1);
    expect(waits).toHaveLength(3);
    for (const [i, base] of [250, 500, 1000].entries()) {
      expect(waits[i]).toBeGreaterThanOrEqual(base);
      expect(waits[i]).toBeLessThanOrEqual(base * 1.25);
    }
  });

  it('honours Retry-After, in seconds and as a date', async () => {
    const at = new Date(Date.now() + 4000).toUTCString();
    const status = { kind: 'status', status: 429 } as const;
    await gpu.set({
      script: [
        { ...status, headers: { 'retry-after': '2' } },
        { ...status, headers: { 'retry-after': at } },
      ],
    });
    const { subject, waits } = runner();
    await subject.begin(await restoration(), 1);
    expect(waits[0]).toBe(2000);
    expect(waits[1]).toBeGreaterThan(1000);
    expect(waits[1]).toBeLessThanOrEqual(4000);
  });

  it('gives up when Retry-After asks for longer than a call is held, and says for how long', async () => {
    await gpu.set({ script: [{ kind: 'status', status: 503, headers: { 'retry-after': '60' } }] });
    await expect(runner().subject.begin(await restoration(), 1)).rejects.toMatchObject({
      code: 'runner_unavailable',
      retryAfterSeconds: 60,
    });
    expect(await gpu.requests()).toHaveLength(1);
  });

  it.each([
    ['busy', 409, 1, 'runner_busy'],
    ['rate limited', 429, 4, 'runner_busy'],
    ['starting', 503, 4, 'runner_unavailable'],
    ['gone, says its tunnel,', 502, 4, 'runner_unavailable'],
    ['silent, says its proxy,', 504, 4, 'runner_unavailable'],
    ['gone, says Cloudflare,', 530, 4, 'runner_unavailable'],
    ['broken', 500, 4, 'runner_failed'],
    ['told of by no status that we know', 519, 4, 'runner_failed'],
    ['refusing the input, with a webhook and without', 422, 2, 'runner_failed'],
    ['refusing the token', 401, 1, 'runner_failed'],
    ['somewhere else', 404, 1, 'runner_failed'],
  ])('that stays %s (%i) is called %i times', async (_, status, calls, code) => {
    await gpu.set({ script: Array.from({ length: 9 }, () => ({ kind: 'status', status }) as const) });
    await expect(runner().subject.begin(await restoration(), 1)).rejects.toEqual(failure(code));
    expect(await gpu.requests()).toHaveLength(calls);
  });

  it('that redirects is unavailable: the addresses that open our storage follow nobody', async () => {
    const elsewhere = { kind: 'status', status: 307, headers: { location: `${env.RUNNER_URL}/elsewhere` } } as const;
    await gpu.set({ script: [elsewhere] });
    await expect(runner().subject.begin(await restoration(), 1)).rejects.toEqual(failure('runner_unavailable'));
    expect(await gpu.requests()).toHaveLength(1);
  });

  it('that nobody answers for is unavailable, after a bounded number of tries', async () => {
    const { subject, waits } = runner({ url: 'http://127.0.0.1:1' });
    await expect(subject.begin(await restoration(), 1)).rejects.toEqual(failure('runner_unavailable'));
    expect(waits).toHaveLength(3);
  });

  it('that does not answer in time is unavailable', async () => {
    await gpu.set({ script: [{ kind: 'hang' }] });
    const { subject } = runner({ timeoutMs: 200 });
    await expect(subject.look('x')).rejects.toEqual(failure('runner_unavailable'));
    expect(await gpu.requests()).toHaveLength(1);
  });

  it('is asked how it goes; what it does not know is null', async () => {
    await gpu.set({ script: [{ kind: 'in-flight' }, { kind: 'status', status: 404 }] });
    const { subject } = runner();
    expect(await subject.look('x')).toEqual({ id: 'x', status: 'processing' });
    expect(await subject.look('x')).toBe(null);
  });

  it('is told to stop; what it does not know has stopped', async () => {
    const { subject } = runner();
    await subject.cancel('x');
    await gpu.set({ script: [{ kind: 'status', status: 404 }] });
    await subject.cancel('x');
    expect(await gpu.requests()).toMatchObject([{ method: 'POST', path: '/predictions/x/cancel' }]);
  });

  it.each([
    ['image_truncated: It ends early.', 'image_truncated'],
    ['model_unavailable: Not here.', 'runner_unavailable'],
    ['internal: /srv/model.onnx is missing', 'runner_failed'],
    ['not_found: nothing', 'runner_failed'],
    ['CUDA error: out of memory', 'runner_failed'],
    ['', 'runner_failed'],
  ])('fails with "%s"', (error, code) => {
    const said = readRemoteState({ id: 'x', status: 'failed', error });
    expect(said).toMatchObject({ id: 'x', status: 'failed', error: { code } });
    expect(JSON.stringify(said)).not.toMatch(/srv|CUDA/);
  });

  it('says how far it is', () => {
    const said = readRemoteState({
      id: 'x',
      status: 'processing',
      progress: { done: 1, total: 4 },
      logs: 'more',
    });
    expect(said).toEqual({ id: 'x', status: 'processing', progress: { done: 1, total: 4 } });
  });

  it.each([
    '',
    '<html>',
    '[]',
    '{"status":"succeeded"}',
    '{"id":"x","status":"done"}',
    '{"id":"../x","status":"starting"}',
  ])('that answers %s has failed', async (body) => {
    await gpu.set({ script: [{ kind: 'body', status: 200, body }] });
    await expect(runner().subject.begin(await restoration(), 1)).rejects.toEqual(failure('runner_failed'));
  });
});

describe('behind the API', () => {
  const large = () => png({ width: 2000, height: 1000 });

  it('a failed prediction is its own code', async () => {
    await gpu.set({ script: [{ kind: 'failed', error: 'image_undecodable: The data is broken.' }] });
    expect(await problemOf(await deblur(large()))).toEqual(problem(422, 'image_undecodable'));
  });

  it('a runner that says it succeeded and uploaded nothing has failed', async () => {
    await gpu.set({ script: Array.from({ length: JOB_MAX_ATTEMPTS }, () => ({ kind: 'no-upload' }) as const) });
    expect(await problemOf(await deblur(large()))).toEqual(problem(502, 'runner_failed'));
  });

  it.each([
    ['READY', 200],
    ['BUSY', 200],
    ['STARTING', 503],
    ['SETUP_FAILED', 503],
  ])('health of the runner %s makes %i', async (health, status) => {
    await gpu.set({ health });
    const response = await call('/healthz');
    expect(response.status).toBe(status);
    expect(await response.json()).toEqual({
      status: status === 200 ? 'ok' : 'unavailable',
      parts: { edge: 'READY', runner: health },
    });
  });
});
