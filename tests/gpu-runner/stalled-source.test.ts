/** A source whose server takes the request and then says nothing more: its time limit, shortened to be waited for. */
import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { HttpClient } from '../../gpu-runner/transfers/http-client.ts';
import { readSource } from '../../gpu-runner/transfers/source.ts';
import { startReceiver, type Receiver } from './support/receiver.ts';

const LIMIT_MS = 300;
vi.mock('../../gpu-runner/limits.ts', async (original) => ({ ...(await original()), TRANSFER_TIMEOUT_MS: 300 }));

let receiver: Receiver;
let http: HttpClient;

beforeAll(async () => {
  receiver = await startReceiver();
  http = new HttpClient({ allowOrigins: [receiver.origin] });
});
afterAll(async () => {
  await http.close();
  await receiver.close();
});

it.each<[string, (response: ServerResponse) => void]>([
  ['never answers', () => undefined],
  ['stops after the headers', (response) => response.writeHead(200, { 'content-length': 1000 }).flushHeaders()],
  ['stops in the middle', (response) => void response.writeHead(200, { 'content-length': 1000 }).write('x')],
  ['sends a byte now and then', (response) => trickle(response)],
])('gives up on a source that %s', async (_, stall) => {
  receiver.sources.set('/stalled', stall);
  const started = performance.now();
  const reading = readSource(`${receiver.origin}/stalled`, http, new AbortController().signal);
  await expect(reading).rejects.toMatchObject({
    code: 'source_fetch_failed',
    detail: expect.stringMatching(/^The source did not arrive within 0\.3 seconds\./),
  });
  expect(performance.now() - started).toBeGreaterThan(LIMIT_MS / 2);
});

it('ends with the reason of a prediction that is cancelled first', async () => {
  receiver.sources.set('/stalled', () => undefined);
  const reason = new Error('cancelled');
  const reading = readSource(`${receiver.origin}/stalled`, http, AbortSignal.abort(reason));
  await expect(reading).rejects.toBe(reason);
});

/** Fast enough that no pause is long, slow enough that the whole never comes. */
function trickle(response: ServerResponse): void {
  response.writeHead(200, { 'content-length': 1000 });
  const timer = setInterval(() => response.write('x'), 50);
  response.once('close', () => clearInterval(timer));
}
