import { createExecutionContext, createMessageBatch, getQueueResult } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { DISPATCH_MESSAGE_MAX_ATTEMPTS, DISPATCH_RETRY_MAX_SECONDS } from '@deblur/shared/limits.ts';
import { describe, expect, it, vi } from 'vitest';
import gateway from '../../../workers/gateway/index.ts';
import {
  consumeDeadLetters,
  consumeDispatches,
  type DispatchReply,
} from '../../../workers/gateway/jobs/dispatch-queue.ts';

const key = (digit: string): string => digit.repeat(64);
const gpu = (digit: string) => ({ restorationKey: key(digit), placement: 'runner' as const, number: 1 });

interface Sent {
  readonly body: unknown;
  readonly attempts?: number;
}

/** Consumes a batch; what each job replies is said by its digit, and `throw` breaks the call. */
async function consume(
  sent: readonly Sent[],
  replies: Readonly<Record<string, DispatchReply | 'throw'>> = {},
  consumer = consumeDispatches,
) {
  const asked: string[] = [];
  const numbers: number[] = [];
  const again: { message: unknown; delaySeconds: number }[] = [];
  const ask = (restorationKey: string): DispatchReply => {
    asked.push(restorationKey[0] ?? '');
    const reply = replies[restorationKey[0] ?? ''];
    if (reply === 'throw') throw new Error('the object breaks');
    return reply ?? { refused: false };
  };
  const messages = sent.map(({ body, attempts = 1 }, i) => ({ id: `m${i}`, timestamp: 0, attempts, body }));
  const batch = createMessageBatch('a-queue', messages);
  // What the batch tells of its messages leaves the delays out.
  const retries = batch.messages.map((message) => vi.spyOn(message, 'retry'));
  const ctx = createExecutionContext();
  await consumer(batch, {
    jobOf: (restorationKey) => ({
      dispatch: async (number) => {
        numbers.push(number);
        return ask(restorationKey);
      },
      abandon: async () => void ask(restorationKey),
    }),
    callBack: async (message, delaySeconds) => void again.push({ message, delaySeconds }),
  });
  const { explicitAcks } = await getQueueResult(batch, ctx);
  const retried = Object.fromEntries(
    retries.flatMap(({ mock }, i) => mock.calls.map(([options]) => [`m${i}`, options?.delaySeconds])),
  );
  return { asked, numbers, again, acked: explicitAcks, retried };
}

describe('a message', () => {
  it('is done with when the runner has the work', async () => {
    expect(await consume([{ body: gpu('1') }])).toMatchObject({ asked: ['1'], again: [], acked: ['m0'], retried: {} });
  });

  it('says which one of its job it is', async () => {
    const { numbers } = await consume([{ body: { ...gpu('1'), number: 3 } }, { body: gpu('2') }]);
    expect(numbers).toEqual([3, 1]);
  });

  it('comes again after as long as the runner asks', async () => {
    const { retried } = await consume([{ body: gpu('1') }], { 1: { refused: true, retryAfterSeconds: 30.2 } });
    expect(retried).toEqual({ m0: 31 });
  });

  it('is not held back longer than we believe', async () => {
    const { retried } = await consume([{ body: gpu('1') }], { 1: { refused: true, retryAfterSeconds: 86_400 } });
    expect(retried).toEqual({ m0: 300 });
  });

  it.each([1, 2, 3, 4, 5, 9])('comes again later the more often it was refused: attempt %i', async (attempts) => {
    const { retried } = await consume([{ body: gpu('1'), attempts }], { 1: { refused: true } });
    const longest = Math.min(2 ** (attempts - 1), DISPATCH_RETRY_MAX_SECONDS);
    expect(retried['m0']).toBeGreaterThanOrEqual(longest / 2);
    expect(retried['m0']).toBeLessThanOrEqual(longest);
  });

  it('is written anew when it was refused often, so that a full runner makes no dead letters', async () => {
    const attempts = DISPATCH_MESSAGE_MAX_ATTEMPTS;
    const { again, acked, retried } = await consume([{ body: gpu('1'), attempts }], { 1: { refused: true } });
    expect(again).toEqual([{ message: { ...gpu('1'), number: 1 }, delaySeconds: expect.any(Number) }]);
    expect([acked, retried]).toEqual([['m0'], {}]);
  });

  it('that is refused speaks for the rest of its batch, but not for the other placement', async () => {
    const sent = [
      { body: gpu('1') },
      { body: gpu('2') },
      { body: gpu('3') },
      { body: { ...gpu('4'), placement: 'edge' } },
    ];
    const { asked, acked, retried } = await consume(sent, { 2: { refused: true, retryAfterSeconds: 9 } });
    expect(asked).toEqual(['1', '2', '4']);
    expect(acked).toEqual(['m0', 'm3']);
    expect(retried).toEqual({ m1: 9, m2: 9 });
  });

  it('that breaks its job comes again, and does not hold up the others', async () => {
    const { acked, retried } = await consume([{ body: gpu('1') }, { body: gpu('2') }], { 1: 'throw' });
    expect([acked, Object.keys(retried)]).toEqual([['m1'], ['m0']]);
  });

  it.each([
    null,
    'text',
    {},
    { ...gpu('1'), restorationKey: 'short' },
    { ...gpu('1'), number: 0 },
    { ...gpu('1'), placement: 'moon' },
  ])('of nobody is dropped: %j', async (body) => {
    expect(await consume([{ body }])).toMatchObject({ asked: [], acked: ['m0'] });
  });
});

describe('a dead letter', () => {
  it('fails what waits for it', async () => {
    expect(await consume([{ body: gpu('1') }, { body: {} }], {}, consumeDeadLetters)).toMatchObject({
      asked: ['1'],
      acked: ['m0', 'm1'],
    });
  });

  it('comes again when its job cannot be told', async () => {
    const { acked, retried } = await consume([{ body: gpu('1') }], { 1: 'throw' }, consumeDeadLetters);
    expect([acked, Object.keys(retried)]).toEqual([[], ['m0']]);
  });
});

describe('the Worker', () => {
  it.each(['deblur-dispatch', 'deblur-dispatch-dead-letters'])('consumes %s', async (queue) => {
    const batch = createMessageBatch(queue, [{ id: 'm', timestamp: 0, attempts: 1, body: gpu('f') }]);
    const ctx = createExecutionContext();
    await gateway.queue(batch, env);
    expect(await getQueueResult(batch, ctx)).toMatchObject({ outcome: 'ok', explicitAcks: ['m'] });
  });
});
