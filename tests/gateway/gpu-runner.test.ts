import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import type { RestorationTask } from '../../workers/gateway/predict/ports.ts';
import { GpuRunner, type GpuRunnerOptions } from '../../workers/gateway/runners/gpu-runner.ts';
import { SignedInternalUrls } from '../../workers/gateway/runners/internal-urls.ts';
import { R2ResultStore } from '../../workers/gateway/store/result-store.ts';
import { R2SourceStore } from '../../workers/gateway/store/source-store.ts';
import { inspectImage } from '../../workers/gateway/predict/inspect.ts';
import { call, deblur, gpu, madeHow, problem, problemOf } from './support/gateway.ts';
import { png } from './support/pictures.ts';

/** A runner whose waits are noted instead of waited. */
function runner(options: Partial<GpuRunnerOptions> = {}) {
  const waits: number[] = [];
  const urls = new SignedInternalUrls({ origin: env.INTERNAL_ORIGIN, secret: env.INTERNAL_SECRET });
  const sleep = async (ms: number): Promise<void> => void waits.push(ms);
  const subject = new GpuRunner({
    url: env.GPU_RUNNER_URL,
    token: env.GPU_RUNNER_TOKEN,
    urls,
    results: new R2ResultStore(env.STORE),
    backoff: { attempts: 4, sleep },
    ...options,
  });
  return { subject, waits };
}

async function taskOf(): Promise<RestorationTask> {
  const picture = png();
  const source = await new R2SourceStore(env.STORE, inspectImage).receive(
    (async function* () {
      yield picture;
    })(),
  );
  await source.keep();
  return {
    restorationKey: crypto.getRandomValues(new Uint8Array(32)).toHex(),
    resultKey: crypto.getRandomValues(new Uint8Array(32)).toHex(),
    sourceDigest: source.digest,
    model: 'dhnet-edge',
    modelVersion: 'c'.repeat(64),
    encoding: { format: 'webp', quality: 90, metadata: 'keep' },
  };
}

const failure = (code: string) => expect.objectContaining({ code });

describe('the GPU runner', () => {
  it('is asked by an idempotent PUT, with signed URLs and without a file', async () => {
    const task = await taskOf();
    const report = await runner().subject.restore({ ...task, tile: 256 });
    expect(report).toMatchObject({ tiles: 4, inferMs: 2 });
    const [request] = await gpu.requests();
    expect(request).toMatchObject({
      method: 'PUT',
      path: `/predictions/restore-${task.resultKey}`,
      authorization: `Bearer ${env.GPU_RUNNER_TOKEN}`,
      source: { status: 200 },
      uploads: [204, 204],
    });
    expect(request?.prediction).toEqual({
      id: `restore-${task.resultKey}`,
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
      },
    });
    // Trap of the client's data-uri strategy: the client itself, token included, in the body.
    expect(JSON.stringify(request?.prediction)).not.toContain(env.GPU_RUNNER_TOKEN);
  });

  it('waits for a prediction that is in flight already', async () => {
    await gpu.set({ script: [{ kind: 'in-flight' }, { kind: 'in-flight' }] });
    await runner().subject.restore(await taskOf());
    expect((await gpu.requests()).map(({ method }) => method)).toEqual(['PUT', 'GET', 'GET']);
  });

  it('backs off after a failure, each time longer, and then succeeds', async () => {
    const status = { kind: 'status', status: 500 } as const;
    await gpu.set({ script: [status, status, { ...status, status: 503 }] });
    const { subject, waits } = runner();
    await subject.restore(await taskOf());
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
    await subject.restore(await taskOf());
    expect(waits[0]).toBe(2000);
    expect(waits[1]).toBeGreaterThan(1000);
    expect(waits[1]).toBeLessThanOrEqual(4000);
  });

  it('gives up when Retry-After asks for longer than a caller is held', async () => {
    await gpu.set({ script: [{ kind: 'status', status: 503, headers: { 'retry-after': '60' } }] });
    await expect(runner().subject.restore(await taskOf())).rejects.toEqual(failure('runner_unavailable'));
    expect(await gpu.requests()).toHaveLength(1);
  });

  it.each([
    ['busy', 409, 1, 'runner_busy'],
    ['rate limited', 429, 4, 'runner_busy'],
    ['starting', 503, 4, 'runner_unavailable'],
    ['broken', 500, 4, 'runner_failed'],
    ['refusing the input', 422, 1, 'runner_failed'],
    ['refusing the token', 401, 1, 'runner_failed'],
  ])('that stays %s (%i) is called %i times', async (_, status, calls, code) => {
    await gpu.set({ script: Array.from({ length: 9 }, () => ({ kind: 'status', status }) as const) });
    await expect(runner().subject.restore(await taskOf())).rejects.toEqual(failure(code));
    expect(await gpu.requests()).toHaveLength(calls);
  });

  it('that nobody answers for is unavailable, after a bounded number of tries', async () => {
    const { subject, waits } = runner({ url: 'http://127.0.0.1:1' });
    await expect(subject.restore(await taskOf())).rejects.toEqual(failure('runner_unavailable'));
    expect(waits).toHaveLength(3);
  });

  it('that does not answer in time has missed its deadline', async () => {
    await gpu.set({ script: [{ kind: 'hang' }] });
    const { subject } = runner({ timeoutMs: 200 });
    await expect(subject.restore(await taskOf())).rejects.toEqual(failure('deadline_exceeded'));
    expect(await gpu.requests()).toHaveLength(1);
  });

  it('that never ends has missed its deadline too', async () => {
    await gpu.set({ script: Array.from({ length: 50 }, () => ({ kind: 'in-flight' }) as const) });
    const { subject } = runner({ timeoutMs: 300 });
    await expect(subject.restore(await taskOf())).rejects.toEqual(failure('deadline_exceeded'));
  });

  it.each([
    ['image_truncated: It ends early.', 'image_truncated'],
    ['model_unavailable: Not here.', 'runner_unavailable'],
    ['internal: /srv/model.onnx is missing', 'runner_failed'],
    ['not_found: nothing', 'runner_failed'],
    ['CUDA error: out of memory', 'runner_failed'],
    ['', 'runner_failed'],
  ])('fails with "%s"', async (error, code) => {
    await gpu.set({ script: [{ kind: 'failed', error }] });
    const attempt = runner().subject.restore(await taskOf());
    await expect(attempt).rejects.toEqual(failure(code));
    await expect(attempt).rejects.not.toThrow(/srv|CUDA/);
  });

  it.each([
    '',
    '<html>',
    '[]',
    '{"status":"done"}',
    '{"status":"succeeded","output":"data:,"}',
    '{"status":"canceled"}',
    '{"status":"aborted"}',
  ])('that answers %s has failed', async (body) => {
    await gpu.set({ script: [{ kind: 'body', status: 200, body }] });
    await expect(runner().subject.restore(await taskOf())).rejects.toEqual(failure('runner_failed'));
  });
});

describe('behind the API', () => {
  const large = () => png({ width: 2000, height: 1000 });

  it('a busy runner is 503 with Retry-After, and the next try succeeds', async () => {
    await gpu.set({ script: [{ kind: 'status', status: 409 }] });
    const picture = large();
    const busy = await deblur(picture);
    expect(busy.headers.get('retry-after')).toBe('5');
    expect(await problemOf(busy)).toEqual(problem(503, 'runner_busy'));
    expect(await madeHow(await deblur(picture))).toBe('200 miss gpu image/png');
  });

  it('a failed prediction is its own code', async () => {
    await gpu.set({ script: [{ kind: 'failed', error: 'image_undecodable: The data is broken.' }] });
    expect(await problemOf(await deblur(large()))).toEqual(problem(422, 'image_undecodable'));
  });

  it('a runner that says it succeeded and uploaded nothing has failed', async () => {
    await gpu.set({ script: [{ kind: 'no-upload' }] });
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
      parts: { edge: 'READY', gpu: health },
    });
  });
});
