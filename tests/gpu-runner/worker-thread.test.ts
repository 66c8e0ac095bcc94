import { afterEach, expect, it } from 'vitest';
import { THREAD_MAX_RESTARTS } from '../../gpu-runner/limits.ts';
import type { Log } from '../../gpu-runner/ops/log.ts';
import { WorkerThread } from '../../gpu-runner/threads/worker-thread.ts';
import type { EchoRequest } from './support/echo-worker.ts';
import { until } from './support/runner.ts';

const log: Log = { info: () => undefined, error: () => undefined };
const script = new URL('./support/echo-worker.ts', import.meta.url);
let thread: WorkerThread<EchoRequest, unknown>;

async function start(): Promise<void> {
  thread = await WorkerThread.start({ name: 'echo', script, prepare: 'prepare', log });
}

afterEach(() => thread.close());

it('moves buffers there and back', async () => {
  await start();
  const bytes = Uint8Array.of(1, 2, 3);
  const reply = thread.call(bytes, [bytes.buffer]);
  expect(bytes).toHaveLength(0);
  expect(await reply).toEqual(Uint8Array.of(1, 2, 3));
});

it('keeps the code of a named failure, and tells nothing of another', async () => {
  await start();
  await expect(thread.call('refuse')).rejects.toMatchObject({ code: 'image_animated', detail: 'Two pictures.' });
  const failure = await thread.call('break').catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'internal', cause: expect.stringContaining('/secret/path is broken') });
  expect(String((failure as Error).message)).not.toContain('secret');
});

it('ends an aborted call with the reason of the abort', async () => {
  await start();
  const controller = new AbortController();
  const call = thread.call('wait', [], controller.signal);
  const reason = new Error('enough');
  controller.abort(reason);
  await expect(call).rejects.toBe(reason);
  expect(thread.pending).toBe(0);
});

it('fails what a dying thread leaves behind, and works again afterwards', async () => {
  await start();
  const waiting = thread.call('wait');
  const dying = thread.call('die');
  await expect(waiting).rejects.toMatchObject({ code: 'runner_failed' });
  await expect(dying).rejects.toMatchObject({ code: 'runner_failed' });
  expect(thread.state).toBe('restarting');
  await expect(thread.call('prepare')).rejects.toMatchObject({ code: 'runner_failed' });
  await until(() => thread.state === 'running');
  expect(await thread.call('prepare')).toBe('prepare');
});

it('lets what it does end before it is closed, and takes nothing more', async () => {
  await start();
  const working = thread.call('work');
  const closing = thread.close();
  await expect(thread.call('prepare')).rejects.toMatchObject({ code: 'runner_failed' });
  await closing;
  expect(await working).toBe('work');
});

it('does not start when its script does not come up', async () => {
  await start();
  const missing = new URL('./support/no-such-worker.ts', import.meta.url);
  await expect(WorkerThread.start({ name: 'missing', script: missing, log })).rejects.toMatchObject({
    code: 'runner_failed',
  });
});

it('is given up when it dies again and again', async () => {
  await start();
  for (let life = 0; life <= THREAD_MAX_RESTARTS; life++) {
    await until(() => thread.state === 'running');
    await expect(thread.call('die')).rejects.toMatchObject({ code: 'runner_failed' });
  }
  await until(() => thread.state !== 'restarting');
  expect(thread.state).toBe('dead');
});
