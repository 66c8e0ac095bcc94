/** What health and probes say of a runner whose threads die under it. */
import { once } from 'node:events';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createApp } from '../../gpu-runner/app.ts';
import { readConfig } from '../../gpu-runner/config.ts';
import { HttpClient } from '../../gpu-runner/transfers/http-client.ts';
import { RunnerService, type Health, type HealthReport } from '../../gpu-runner/predictions/runner-service.ts';
import { dataUri, gradientPng } from './support/images.ts';
import { MODEL_DIR, until } from './support/runner.ts';

/** In the order in which the runner starts them: one session, then one picture thread. */
const threads: Worker[] = [];
const gather = (worker: Worker): void => void threads.push(worker);
const log = { info: () => undefined, error: () => undefined };

let folder: string;
let runner: RunnerService;
let app: ReturnType<typeof createApp>;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'deblur-health-'));
  await cp(path.join(MODEL_DIR, 'dhnet-edge'), path.join(folder, 'dhnet-edge'), { recursive: true });
  process.on('worker', gather);
  const config = readConfig({ MODEL_DIR: folder, EXECUTION_PROVIDER: 'cpu', SESSION_WORKERS: '1', SLOTS: '1' });
  runner = new RunnerService(config, new HttpClient(config), log);
  app = createApp({ runner, token: undefined, log });
  await runner.setup();
});
afterEach(async () => {
  process.off('worker', gather);
  threads.length = 0;
  await runner.stop(0);
  await rm(folder, { recursive: true, force: true });
});

async function statusOf(route: string): Promise<number> {
  return (await app.request(route)).status;
}

async function health(): Promise<Health> {
  return ((await (await app.request('/health-check')).json()) as HealthReport).status;
}

async function end(thread: Worker): Promise<void> {
  const gone = once(thread, 'exit');
  await thread.terminate();
  await gone;
}

async function predict(): Promise<{ readonly status: string; readonly error: string | null }> {
  const input = { image: dataUri(await gradientPng(32, 32)) };
  const body = JSON.stringify({ input });
  const headers = { 'content-type': 'application/json' };
  const response = await app.request('/predictions', { method: 'POST', headers, body });
  return (await response.json()) as { status: string; error: string | null };
}

it.each([
  ['session', 0],
  ['picture', 1],
])('is UNHEALTHY while a %s thread that died is replaced, then READY again', async (_, index) => {
  expect(threads).toHaveLength(2);
  expect(await health()).toBe('READY');
  await end(threads[index]!);
  expect(await health()).toBe('UNHEALTHY');
  expect(await statusOf('/v2/health/live')).toBe(200);
  expect(await statusOf('/v2/health/ready')).toBe(503);
  expect(await predict()).toMatchObject({ status: 'failed', error: expect.stringMatching(/^runner_failed: /) });
  await until(async () => (await health()) === 'READY');
  expect(await statusOf('/v2/health/ready')).toBe(200);
  expect(await predict()).toMatchObject({ status: 'succeeded' });
  expect(await (await app.request('/metrics')).text()).toContain('\ndeblur_runner_thread_restarts_total 1\n');
});

it('is DEFUNCT, and no longer live, once a thread cannot be replaced', async () => {
  // Only a thread that loads the model anew notices.
  await rm(folder, { recursive: true });
  await end(threads[0]!);
  expect(await health()).toBe('UNHEALTHY');
  await until(async () => (await health()) !== 'UNHEALTHY');
  expect(await health()).toBe('DEFUNCT');
  expect(await statusOf('/v2/health/live')).toBe(503);
  expect(await statusOf('/v2/health/ready')).toBe(503);
  expect(await predict()).toMatchObject({ status: 'failed', error: expect.stringMatching(/^runner_failed: /) });
});
