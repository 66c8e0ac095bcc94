import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { newWebhookSecret, signWebhook } from '@deblur/shared/protocol/standard-webhooks.ts';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createReceiver, type PredictionEvent } from '../../examples/webhook-receiver.ts';

const secret = newWebhookSecret();
let server: Server;
let url: string;
let events: [string, PredictionEvent][];
/** What the receiver does with an event waits for this. */
let work: Promise<void>;

beforeEach(async () => {
  events = [];
  work = Promise.resolve();
  const onEvent = async (event: PredictionEvent, id: string): Promise<void> => {
    await work;
    events.push([id, event]);
  };
  server = createReceiver({ secrets: [secret], onEvent, maxBodyBytes: 1000 }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});

afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});

const event = { type: 'prediction.completed', id: 'p1', status: 'succeeded', output: 'https://x.y/z' };

interface Sent {
  readonly id?: string;
  readonly ageSeconds?: number;
  readonly signedBy?: string;
  readonly body?: string;
  readonly sentBody?: string;
}

async function send({
  id = 'msg_1',
  ageSeconds = 0,
  signedBy = secret,
  body = JSON.stringify(event),
  sentBody = body,
}: Sent = {}): Promise<number> {
  const timestamp = Math.floor(Date.now() / 1000) - ageSeconds;
  const headers = await signWebhook({ id, timestamp, body }, [signedBy]);
  return (await fetch(url, { method: 'POST', headers: { ...headers }, body: sentBody })).status;
}

it('takes each message once, however often it comes', async () => {
  expect(await Promise.all([send(), send(), send({ ageSeconds: 5 })])).toEqual([204, 204, 204]);
  expect(await send({ id: 'msg_2' })).toBe(204);
  await vi.waitFor(() => expect(events).toHaveLength(2));
  expect(events).toEqual([
    ['msg_1', event],
    ['msg_2', event],
  ]);
});

it('answers before it works', async () => {
  let finish = (): void => undefined;
  work = new Promise((resolve) => (finish = resolve));
  expect(await send()).toBe(204);
  expect(events).toEqual([]);
  finish();
  await vi.waitFor(() => expect(events).toHaveLength(1));
});

it.each<[string, Sent, number]>([
  ['another secret', { signedBy: newWebhookSecret() }, 401],
  ['a changed body', { sentBody: JSON.stringify({ ...event, output: 'https://evil.example/' }) }, 401],
  ['a stale message', { ageSeconds: 301 }, 401],
  ['a message from the future', { ageSeconds: -302 }, 401],
  ['too much', { body: 'x'.repeat(1001) }, 413],
])('refuses %s, and does nothing', async (_, sent, status) => {
  expect(await send(sent)).toBe(status);
  expect(await send({ id: 'the next' })).toBe(204);
  await vi.waitFor(() => expect(events.map(([id]) => id)).toEqual(['the next']));
});

it('refuses what carries no signature, and other methods', async () => {
  expect((await fetch(url, { method: 'POST', body: JSON.stringify(event) })).status).toBe(401);
  expect((await fetch(url)).status).toBe(405);
});

it('outlives a message that it cannot use', async () => {
  const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  expect(await send({ body: 'no JSON' })).toBe(204);
  await vi.waitFor(() => expect(log).toHaveBeenCalledOnce());
  expect(await send({ id: 'msg_2' })).toBe(204);
  await vi.waitFor(() => expect(events).toHaveLength(1));
});
