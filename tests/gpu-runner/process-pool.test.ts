import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { CallTimeoutError, ProcessPool, type ProcessCallOptions } from '../../gpu-runner/threads/process-pool.ts';
import type { EchoCall } from './support/echo-process.ts';

const LONG_MS = 100_000;

let pool: ProcessPool<EchoCall, unknown>;
let never: AbortController;
beforeEach(() => {
  vi.stubEnv('RUNNER_TOKEN', 'secret');
  pool = new ProcessPool(new URL('./support/echo-process.ts', import.meta.url));
  never = new AbortController();
});
afterEach(() => {
  pool.close();
  vi.unstubAllEnvs();
});

const call = (request: EchoCall, options: Partial<ProcessCallOptions> = {}): Promise<unknown> =>
  pool.call(request, { signal: never.signal, timeoutMs: LONG_MS, ...options });

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

it('carries samples of both widths, and what lies between them', async () => {
  const bytes = Uint8Array.from({ length: 1_000_003 }, (_, i) => i * 7);
  const wide = Uint16Array.from({ length: 70_001 }, (_, i) => i * 13);
  const view = new Uint16Array(wide.buffer, 4, 10);
  const echo = { bytes, nothing: undefined, list: [view, new Uint8Array(), 'text'], deep: { wide } };
  expect(await call({ echo })).toEqual(echo);
  expect(await call({ echo: null })).toBeNull();
});

it('keeps its process from call to call, and not after the last', async () => {
  const pid = Number(await call('pid'));
  expect(await call('pid', { last: true })).toBe(pid);
  expect(await call('pid')).not.toBe(pid);
  await vi.waitFor(() => expect(isAlive(pid)).toBe(false), LONG_MS);
});

it('runs calls at the same time in processes of their own', async () => {
  const [first, second] = await Promise.all([call('pid'), call('pid')]);
  expect(first).not.toBe(second);
});

it('ends a call that is aborted, and its process, which does not hear of it', async () => {
  const pid = Number(await call('pid'));
  const aborted = new AbortController();
  const blocked = call('block', { signal: aborted.signal });
  aborted.abort(new Error('cancelled'));
  await expect(blocked).rejects.toThrow('cancelled');
  await vi.waitFor(() => expect(isAlive(pid)).toBe(false), LONG_MS);
  expect(await call({ echo: 'next' })).toBe('next');
});

it('ends a call that takes too long, and its process', async () => {
  const pid = Number(await call('pid'));
  await expect(call('block', { timeoutMs: 100 })).rejects.toThrow(CallTimeoutError);
  await vi.waitFor(() => expect(isAlive(pid)).toBe(false), LONG_MS);
});

it('fails a call whose process ends by itself, and goes on with another', async () => {
  await expect(call('die')).rejects.toMatchObject({ code: 'runner_failed' });
  expect(await call({ echo: 'next' })).toBe('next');
});

it('gives its processes no secret of the environment', async () => {
  expect(await call('environment')).not.toContain('RUNNER_TOKEN');
});
