/** A codec that hangs for ever costs its process, and neither the prediction nor the slot. */
import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { dataUri, gradientPng } from './support/images.ts';
import { startServer, type RunningServer } from './support/runner.ts';

const LONG_MS = 100_000;

let server: RunningServer;
let input: { readonly image: string };
beforeEach(async () => {
  input = { image: dataUri(await gradientPng(20, 20)) };
});
afterEach(() => server.stop());

/** Stops the processes that decode: as one that is caught in a hostile file, each holds its memory and never answers. */
async function stopCodecs(): Promise<number[]> {
  const codecs = await codecsOf(server);
  for (const pid of codecs) process.kill(pid, 'SIGSTOP');
  return codecs;
}

function codecsOf({ pid }: RunningServer): Promise<number[]> {
  return vi.waitUntil(() => {
    const found = childrenOf(pid).filter(isCodec);
    return found.length > 0 && found;
  }, LONG_MS);
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => parentOf(pid) === parent);
}

function parentOf(pid: number): number {
  // The command's name, in parentheses, may have spaces in it.
  return Number(readOrNothing(`/proc/${pid}/stat`).split(') ').at(-1)!.split(' ')[1]);
}

function isCodec(pid: number): boolean {
  return readOrNothing(`/proc/${pid}/cmdline`).includes('codec-process');
}

function readOrNothing(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

it('ends a cancelled prediction, whose slot then takes the next one', async () => {
  server = await startServer({ SLOTS: '1' });
  const codecs = await stopCodecs();
  const waiting = server.call('PUT', '/predictions/stuck', { input });
  await vi.waitFor(async () => expect((await server.health()).slots.busy).toBe(1), LONG_MS);
  expect((await server.call('POST', '/predictions/stuck/cancel')).status).toBe(200);
  expect((await waiting).body.status).toBe('canceled');
  await vi.waitFor(async () => expect((await server.health()).slots.busy).toBe(0), LONG_MS);
  expect((await server.call('PUT', '/predictions/next', { input })).body.status).toBe('succeeded');
  expect(codecs.filter(isCodec)).toEqual([]);
});

it('ends a prediction at its deadline', async () => {
  server = await startServer({ SLOTS: '1', TIMEOUT_SECONDS: '1' });
  await stopCodecs();
  const { body } = await server.call('PUT', '/predictions/late', { input });
  expect(body).toMatchObject({ status: 'failed', error: expect.stringMatching(/^deadline_exceeded: /) });
});

it('ends its codec processes with itself, however it ends', async () => {
  server = await startServer({ SLOTS: '1' });
  const codecs = await codecsOf(server);
  await server.stop('SIGKILL');
  await vi.waitFor(() => expect(codecs.filter((pid) => isCodec(pid))).toEqual([]), LONG_MS);
});
