import { env } from 'cloudflare:workers';
import { runInDurableObject } from 'cloudflare:test';
import { validateWebhook } from 'replicate';
import { beforeEach, describe, expect, it } from 'vitest';
import { newWebhookSecret, verifyWebhook } from '@deblur/shared/protocol/standard-webhooks.ts';
import { Deliveries } from '../../../workers/gateway/webhooks/deliveries.ts';
import type { DeliveryType } from '../../../workers/gateway/webhooks/delivery-ports.ts';
import type { Counts } from '../../../workers/gateway/metrics/ports.ts';
import type { AttemptOutcome, WebhookAttempt } from '../../../workers/gateway/webhooks/ports.ts';
import { HttpWebhookSender } from '../../../workers/gateway/webhooks/sender.ts';
import { receiver, RECEIVER_ORIGIN } from '../support/receiver.ts';

const { url } = receiver;

beforeEach(() => receiver.answer());

/** Runs inside a Durable Object, on its real SqlStorage. */
function inObject<T>(use: (sql: SqlStorage) => Promise<T>): Promise<T> {
  const stub = env.TENANTS.get(env.TENANTS.newUniqueId());
  return runInDurableObject(stub, (_, { storage }) => use(storage.sql));
}

const secret = newWebhookSecret();
const secrets = async (): Promise<string[]> => [secret];
const allowOrigins = [RECEIVER_ORIGIN];

function deliveries(sql: SqlStorage, random = () => 0): Deliveries {
  return new Deliveries(sql, {
    stats,
    sender: new HttpWebhookSender({ secrets, allowOrigins, timeoutMs: 1500 }),
    random,
  });
}

/** A sender that takes a second for each, and answers as told. */
class Told {
  readonly sent: WebhookAttempt[] = [];
  readonly #statuses: (number | null)[];

  constructor(...statuses: (number | null)[]) {
    this.#statuses = statuses;
  }

  async send(attempt: WebhookAttempt): Promise<AttemptOutcome> {
    this.sent.push(attempt);
    const status = this.#statuses.shift() ?? 204;
    return { status: status === 0 ? null : status, latencyMs: 1000, retryAfterSeconds: null, error: null };
  }
}

/** The outcomes that were counted. */
let counted: string[] = [];
const stats: Counts = { count: (_, labels) => void counted.push(...Object.values<string>(labels)) };
beforeEach(() => (counted = []));

const event = (type: DeliveryType = 'prediction.completed', body = '{}') => ({ type, url, body });

/** Sends whatever is due, whenever it is, and says when that was. */
async function runToTheEnd(queue: Deliveries): Promise<number[]> {
  const times: number[] = [];
  for (let at = queue.nextAttemptAt(); at !== null; at = queue.nextAttemptAt()) {
    times.push(at);
    await queue.runDue(at);
  }
  return times;
}

const HOUR = 3_600_000;
/** Standard Webhooks: at once, then after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h and 10 h. */
const DELAYS = [5_000, 300_000, 1_800_000, 2 * HOUR, 5 * HOUR, 10 * HOUR, 10 * HOUR];

describe('a receiver that fails for a while', () => {
  it('gets it at the scheduled attempts, under one id, each freshly signed', async () => {
    await receiver.answer(
      { status: 500 },
      { status: 302 },
      { status: 404 },
      { status: 429, headers: { 'retry-after': '900' } },
    );
    const body = JSON.stringify({ id: 'p1', status: 'succeeded', output: 'https://x/ü' });
    const { times, list } = await inObject(async (sql) => {
      const queue = deliveries(sql);
      queue.enqueue(event('prediction.completed', body), 1_000_000);
      return { times: await runToTheEnd(queue), list: queue.list() };
    });
    const attempts = list[0]?.attempts ?? [];
    // Each delay begins where the attempt before it ended.
    const waits = times.slice(1).map((at, i) => at - times[i]! - attempts[i]!.latencyMs);
    expect(times[0]).toBe(1_000_000);
    expect(waits).toEqual([5_000, 300_000, 1_800_000, 2 * HOUR]);
    expect(list).toHaveLength(1);
    expect(list[0]).toMatchObject({ n: 1, type: 'prediction.completed', url, state: 'delivered', nextAttemptAt: null });
    expect(attempts.map(({ status, at }) => [status, at])).toEqual(
      [500, 302, 404, 429, 204].map((status, i) => [status, times[i]]),
    );
    const received = await receiver.received();
    expect(received).toHaveLength(5);
    expect(new Set(received.map(({ headers }) => headers['webhook-id']))).toEqual(new Set([list[0]?.webhookId]));
    for (const { headers, body: sent, path } of received) {
      expect([path, sent, headers['content-type']]).toEqual(['/hook', body, 'application/json']);
      expect((await verifyWebhook(headers, sent, secret)).id).toBe(list[0]?.webhookId);
      expect(await validateWebhook({ headers, body: sent } as never, secret)).toBe(true);
    }
  });

  it('may ask for more patience', async () => {
    await receiver.answer({ status: 503, headers: { 'retry-after': '600' } });
    const next = await inObject(async (sql) => {
      const queue = deliveries(sql);
      queue.enqueue(event(), 0);
      await queue.runDue(0);
      return queue.nextAttemptAt();
    });
    expect(next).toBeGreaterThanOrEqual(600_000);
    expect(next).toBeLessThan(602_000);
  });

  it('and never comes back is given up after eight attempts', async () => {
    const told = new Told(...Array.from({ length: 20 }, () => 500));
    const [times, list] = await inObject(async (sql) => {
      const queue = new Deliveries(sql, { stats, sender: told, random: () => 0 });
      queue.enqueue(event(), 0);
      return [await runToTheEnd(queue), queue.list()] as const;
    });
    const second = 1000;
    expect(times.map((at, i) => at - (times[i - 1] ?? 0))).toEqual([0, ...DELAYS.map((delay) => delay + second)]);
    expect(list[0]).toMatchObject({ state: 'exhausted', nextAttemptAt: null });
    expect(list[0]?.attempts).toHaveLength(8);
    expect(counted).toEqual(Array(8).fill('failed'));
  });

  it('and says 410 is called no more', async () => {
    const told = new Told(410);
    const [states, sent] = await inObject(async (sql) => {
      const queue = new Deliveries(sql, { stats, sender: told, random: () => 0 });
      queue.enqueue(event('prediction.start'), 0);
      queue.enqueue(event('prediction.output'), 0);
      await queue.runDue(0);
      queue.enqueue(event(), 10);
      await queue.runDue(10);
      return [queue.list().map(({ state }) => state), told.sent.length] as const;
    });
    expect(states).toEqual(['disabled', 'disabled', 'disabled']);
    expect(sent).toBe(1);
  });
});

describe('the order of events', () => {
  const kinds = (told: Told) => told.sent.map(({ body }) => body);

  it('is that in which they happened', async () => {
    const told = new Told();
    await inObject(async (sql) => {
      const queue = new Deliveries(sql, { stats, sender: told, random: () => 0 });
      for (const type of ['start', 'output', 'completed'] as const) queue.enqueue(event(`prediction.${type}`, type), 5);
      await Promise.all([queue.runDue(5), queue.runDue(5)]);
      expect(queue.nextAttemptAt()).toBeNull();
    });
    expect(kinds(told)).toEqual(['start', 'output', 'completed']);
  });

  it('does not let old news come after the end', async () => {
    const told = new Told(500);
    const states = await inObject(async (sql) => {
      const queue = new Deliveries(sql, { stats, sender: told, random: () => 0 });
      queue.enqueue(event('prediction.start', 'start'), 0);
      await queue.runDue(0);
      expect(queue.nextAttemptAt()).toBe(6000);
      queue.enqueue(event('prediction.completed', 'completed'), 2000);
      await runToTheEnd(queue);
      return queue.list().map(({ state }) => state);
    });
    expect(kinds(told)).toEqual(['start', 'completed']);
    expect(states).toEqual(['superseded', 'delivered']);
  });

  it('skips progress that was overtaken before it was sent', async () => {
    const told = new Told();
    await inObject(async (sql) => {
      const queue = new Deliveries(sql, { stats, sender: told, random: () => 0 });
      for (let i = 0; i < 100; i++) queue.enqueue(event('prediction.logs', `logs ${i}`), 0);
      await queue.runDue(0);
      for (let i = 100; i < 200; i++) queue.enqueue(event('prediction.logs', `logs ${i}`), 1);
      queue.enqueue(event('prediction.completed', 'completed'), 1);
      await runToTheEnd(queue);
    });
    expect(kinds(told)).toEqual(['logs 99', 'completed']);
  });

  it('never drops the end', async () => {
    const told = new Told(500, 500, 500, 500, 204);
    const [states] = await inObject(async (sql) => {
      const queue = new Deliveries(sql, { stats, sender: told, random: () => 0 });
      queue.enqueue(event('prediction.output', 'output'), 0);
      queue.enqueue(event('prediction.completed', 'completed'), 0);
      await runToTheEnd(queue);
      return [queue.list().map(({ state }) => state)] as const;
    });
    expect(kinds(told)).toEqual(['output', 'completed', 'completed', 'completed', 'completed']);
    expect(states).toEqual(['superseded', 'delivered']);
  });
});

describe('an object that dies while it sends', () => {
  it('sends again, under the same id, and the broken attempt counts', async () => {
    const told = new Told();
    const [list, times] = await inObject(async (sql) => {
      const dying = new Deliveries(sql, {
        stats,
        sender: { send: () => new Promise(() => undefined) },
        random: () => 0,
      });
      dying.enqueue(event(), 0);
      void dying.runDue(0);
      const next = new Deliveries(sql, { stats, sender: told, random: () => 0 });
      return [next.list(), await runToTheEnd(next)] as const;
    });
    expect(list[0]?.state).toBe('pending');
    expect(times).toEqual([0]);
    expect(told.sent.map(({ id }) => id)).toEqual([list[0]?.webhookId]);
  });

  it('and dies each time gives up', async () => {
    const states = await inObject(async (sql) => {
      const states: (string | undefined)[] = [];
      for (let i = 0; i < 10; i++) {
        const dying = new Deliveries(sql, {
          stats,
          sender: { send: () => new Promise(() => undefined) },
          random: () => 0,
        });
        if (i === 0) dying.enqueue(event(), 0);
        void dying.runDue(i);
        states.push(dying.list()[0]?.state);
      }
      return states;
    });
    expect(states).toEqual([...Array.from({ length: 8 }, () => 'sending'), 'exhausted', 'exhausted']);
  });

  it('does not take the answer of its predecessor for its own', async () => {
    const states = await inObject(async (sql) => {
      const late = Promise.withResolvers<AttemptOutcome>();
      const first = new Deliveries(sql, { stats, sender: { send: () => late.promise }, random: () => 0 });
      first.enqueue(event(), 0);
      const running = first.runDue(0);
      const told = new Told(500);
      const second = new Deliveries(sql, { stats, sender: told, random: () => 0 });
      await second.runDue(1);
      late.resolve({ status: 204, latencyMs: 1, retryAfterSeconds: null, error: null });
      await running;
      return second.list().map(({ state, attempts }) => [state, attempts.map(({ status }) => status)]);
    });
    // What came late is in the log, and changes no state: the receiver sees the same id once more.
    expect(states).toEqual([['pending', [500, 204]]]);
  });
});

describe('a replay', () => {
  it('sends what was given up again, under the same id', async () => {
    const told = new Told(...Array.from({ length: 8 }, () => 500));
    const [list, replays] = await inObject(async (sql) => {
      const queue = new Deliveries(sql, { stats, sender: told, random: () => 0 });
      queue.enqueue(event('prediction.start', 'start'), 0);
      queue.enqueue(event(), 0);
      await runToTheEnd(queue);
      const replays = [queue.replay(2, 5e8), queue.replay(2, 5e8), queue.replay(7, 5e8), queue.replay(-1, 5e8)];
      expect(queue.nextAttemptAt()).toBe(5e8);
      await runToTheEnd(queue);
      return [queue.list(), replays] as const;
    });
    expect(replays).toEqual(['replayed', 'unknown', 'unknown', 'unknown']);
    expect(list.map(({ state }) => state)).toEqual(['superseded', 'delivered']);
    expect(list[1]?.attempts.at(-1)).toEqual({ at: 5e8, status: 204, latencyMs: 1000, error: null });
    expect(told.sent.at(-1)?.id).toBe(list[1]?.webhookId);
  });

  it('is for one that arrived, too, and for a receiver that was gone', async () => {
    const told = new Told(204, 410, 204);
    const states = await inObject(async (sql) => {
      const queue = new Deliveries(sql, { stats, sender: told, random: () => 0 });
      queue.enqueue(event(), 0);
      await queue.runDue(0);
      const states = [queue.list()[0]?.state];
      for (const at of [1e4, 2e4]) {
        expect(queue.replay(1, at)).toBe('replayed');
        await queue.runDue(at);
        states.push(queue.list()[0]?.state);
      }
      return states;
    });
    expect(states).toEqual(['delivered', 'disabled', 'delivered']);
    expect(counted).toEqual(states);
  });
});
