import { describe, expect, it } from 'vitest';
import { RestoreQueue, type QueuePlace } from '../../workers/edge-runner/restore-queue.ts';

/** A queue with a clock that the test turns: sleepers wake in the order in which they went to sleep. */
function makeQueue(maxWaiting = 2) {
  let time = 0;
  let sleepers: (() => void)[] = [];
  const queue = new RestoreQueue({
    maxWaiting,
    pollMs: 10,
    waiterTimeoutMs: 100,
    holderTimeoutMs: 100,
    now: () => time,
    sleep: () => new Promise((resolve) => sleepers.push(resolve)),
  });
  const tick = async (ms = 10): Promise<void> => {
    time += ms;
    const woken = sleepers;
    sleepers = [];
    for (const wake of woken) wake();
    for (let i = 0; i < 10; i++) await Promise.resolve();
  };
  /** Those that sleep now never wake: their requests are gone. */
  const abandon = (): void => void (sleepers = []);
  return { queue, tick, abandon };
}

function watch(acquired: Promise<QueuePlace>, order: string[], name: string): Promise<QueuePlace> {
  return acquired.then((place) => {
    order.push(name);
    return place;
  });
}

describe('restore queue', () => {
  it('lets one in at a time, in order', async () => {
    const { queue, tick } = makeQueue();
    const order: string[] = [];
    const first = await watch(queue.acquire(), order, 'first');
    const second = watch(queue.acquire(), order, 'second');
    const third = watch(queue.acquire(), order, 'third');
    await tick();
    expect(order).toEqual(['first']);
    first.release();
    await tick();
    expect(order).toEqual(['first', 'second']);
    await tick();
    expect(order).toEqual(['first', 'second']);
    (await second).release();
    await tick();
    expect(order).toEqual(['first', 'second', 'third']);
    (await third).release();
  });

  it('a newcomer does not pass those that wait', async () => {
    const { queue, tick } = makeQueue();
    const order: string[] = [];
    const first = await queue.acquire();
    const second = watch(queue.acquire(), order, 'second');
    first.release();
    const third = watch(queue.acquire(), order, 'third');
    await tick();
    expect(order).toEqual(['second']);
    (await second).release();
    await tick();
    (await third).release();
  });

  it('refuses one more than may wait', async () => {
    const { queue } = makeQueue(2);
    await queue.acquire();
    void queue.acquire();
    void queue.acquire();
    await expect(queue.acquire()).rejects.toMatchObject({ code: 'runner_busy' });
  });

  it('takes a place back from a holder that is not heard of', async () => {
    const { queue, tick } = makeQueue();
    const gone = await queue.acquire();
    const next = queue.acquire();
    await tick(60);
    gone.renew();
    await tick(60);
    await tick(60);
    const place = await next;
    expect(() => gone.renew()).toThrow(/runner_failed/);
    gone.release();
    expect(() => place.renew()).not.toThrow();
  });

  it('forgets those that wait no more', async () => {
    const { queue, tick, abandon } = makeQueue(1);
    const first = await queue.acquire();
    void queue.acquire();
    abandon();
    await tick(60);
    first.renew();
    await tick(60);
    first.renew();
    const second = queue.acquire();
    first.release();
    await tick();
    (await second).release();
  });

  it('keeps those that only could not look for a while', async () => {
    const { queue, tick } = makeQueue();
    const order: string[] = [];
    const first = await queue.acquire();
    const second = watch(queue.acquire(), order, 'second');
    const third = watch(queue.acquire(), order, 'third');
    await tick(500);
    first.release();
    await tick();
    (await second).release();
    await tick();
    (await third).release();
    expect(order).toEqual(['second', 'third']);
  });

  it('ends the waiting when the signal says so', async () => {
    const { queue, tick } = makeQueue();
    const first = await queue.acquire();
    const controller = new AbortController();
    const waiting = expect(queue.acquire(controller.signal)).rejects.toThrow('enough');
    controller.abort(new Error('enough'));
    await tick();
    await waiting;
    first.release();
    (await queue.acquire()).release();
  });
});
