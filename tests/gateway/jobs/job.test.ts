import { JOB_LEASE_MS, JOB_MAX_ATTEMPTS, RESULT_RETENTION_SECONDS } from '@deblur/shared/limits.ts';
import { describe, expect, it } from 'vitest';
import { keyOf, onBench, REPORT, requestFor, RESTORATION_KEY, type Bench } from './harness.ts';

const failed = (code: string) => ({ type: 'failed', error: { code, detail: expect.any(String) } });
const succeeded = (cache: string) => ({ type: 'succeeded', report: expect.objectContaining({ cache }) });

/** One prediction, handed over and begun by the runner. */
async function running(bench: Bench): Promise<void> {
  bench.submit('p1');
  await bench.settle();
  await bench.callback(bench.gpu.step('1-1', 'processing'));
}

describe('work for the runner', () => {
  it(
    'is handed over at once, once for all who ask, and told to each of them',
    onBench(async (bench) => {
      expect(bench.submit('p1')).toEqual({ started: true });
      expect(bench.submit('p2')).toEqual({ started: false });
      const answer = bench.job.obtain(requestFor());
      await bench.settle();
      expect(bench.gpu.begun).toEqual(['1-1']);
      await bench.callback(bench.gpu.step('1-1', 'processing'));
      await bench.callback(bench.gpu.step('1-1', 'processing', [1, 4]));
      expect(bench.submit('p3')).toEqual({ started: false });
      await bench.callback(bench.gpu.step('1-1', 'succeeded'));
      expect(await answer).toMatchObject({ ok: true, report: { cache: 'coalesced', restore: REPORT } });
      for (const id of ['p1', 'p2']) expect(bench.eventsOf(id)).toEqual(['processing', 'progress', 'succeeded']);
      expect(bench.eventsOf('p3')).toEqual(['processing', 'succeeded']);
      expect(bench.lastOf('p1')).toEqual(succeeded('miss'));
      expect(bench.lastOf('p2')).toEqual(succeeded('coalesced'));
      expect(bench.messages).toEqual([]);
    }),
  );

  it(
    'ends once, whatever the order and number of callbacks',
    onBench(async (bench) => {
      await running(bench);
      const begun = bench.gpu.step('1-1', 'processing', [1, 4]);
      const done = bench.gpu.step('1-1', 'succeeded');
      for (const said of [done, begun, done, done, begun]) await bench.callback(said);
      await bench.callback({ id: '1-1', status: 'failed', error: { code: 'runner_failed', detail: '' } });
      await bench.callback({ id: '1-1', status: 'canceled' });
      expect(bench.eventsOf('p1')).toEqual(['processing', 'succeeded']);
      expect(bench.gpu).toMatchObject({ begun: ['1-1'], canceled: [] });
    }),
  );

  it(
    'may be done before the answer to its creation has come',
    onBench(async (bench) => {
      const answer = Promise.withResolvers<undefined>();
      bench.gpu.holding = answer.promise;
      bench.submit('p1');
      await bench.settle();
      await bench.callback(bench.gpu.step('1-1', 'succeeded'));
      expect(bench.lastOf('p1')).toEqual(succeeded('miss'));
      answer.resolve(undefined);
      await bench.settle();
      expect([bench.stateOf(), bench.gpu.canceled]).toEqual(['succeeded', []]);
    }),
  );

  it(
    'encodes further formats from the one master, one after the other',
    onBench(async (bench) => {
      await running(bench);
      bench.submit('p2', requestFor('webp'));
      await bench.settle();
      expect(bench.gpu.begun).toEqual(['1-1']);
      await bench.callback(bench.gpu.step('1-1', 'succeeded'));
      expect(bench.gpu.begun).toEqual(['1-1', '2-1']);
      expect(bench.gpu.predictions.get('2-1')?.work.operation).toBe('encode');
      await bench.callback(bench.gpu.step('2-1', 'succeeded'), keyOf('webp'));
      expect(bench.lastOf('p2')).toEqual(succeeded('coalesced'));
      await bench.advance(1);
      bench.submit('p3', requestFor('webp'));
      await bench.settle();
      expect(bench.lastOf('p3')).toEqual(succeeded('hit'));
      expect(bench.gpu.begun).toHaveLength(2);
    }),
  );

  it(
    'is asked after only now and then by a lease, and soon and often where nobody calls back',
    onBench(async (bench) => {
      await running(bench);
      await bench.advance(JOB_LEASE_MS - 1);
      expect(bench.gpu.looks).toBe(0);
      await bench.callback(bench.gpu.step('1-1', 'processing', [1, 4]));
      await bench.advance(JOB_LEASE_MS - 1);
      expect(bench.gpu.looks).toBe(0);
      await bench.advance(1);
      expect(bench.gpu.looks).toBe(1);
      expect(bench.stateOf()).toBe('running');
    }),
  );

  it(
    'is found done by asking, without any callback',
    onBench(async (bench) => {
      bench.submit('p1');
      await bench.settle();
      await bench.advance(1_000);
      expect(bench.gpu.looks).toBe(10);
      // Less often the longer it takes: in the second minute every four seconds or so.
      await bench.advance(59_000);
      const { looks } = bench.gpu;
      await bench.advance(60_000);
      expect(bench.gpu.looks - looks).toBeGreaterThanOrEqual(12);
      expect(bench.gpu.looks - looks).toBeLessThanOrEqual(16);
      bench.gpu.step('1-1', 'succeeded');
      await bench.advance(5_000);
      expect(bench.lastOf('p1')).toEqual(succeeded('miss'));
    }),
  );

  it(
    'is known by the name that the runner gave it, where it names predictions itself',
    onBench(async (bench) => {
      bench.gpu.names = true;
      bench.submit('p1');
      await bench.settle();
      bench.gpu.step('named-0', 'succeeded');
      await bench.advance(250);
      expect(bench.lastOf('p1')).toEqual(succeeded('miss'));
    }),
  );
});

describe('a runner without room', () => {
  it(
    'gets the work again with its message, which is sent once and after as long as it asks',
    onBench(async (bench) => {
      bench.gpu.refusals = ['busy', 'busy', 'unavailable'];
      bench.gpu.retryAfterSeconds = 7;
      bench.submit('p1');
      await bench.settle();
      const message = { restorationKey: RESTORATION_KEY, placement: 'gpu' };
      expect(bench.messages).toEqual([{ message, delaySeconds: 7 }]);
      expect(await bench.job.dispatch()).toEqual({ refused: true, retryAfterSeconds: 7 });
      expect(await bench.job.dispatch()).toEqual({ refused: true, retryAfterSeconds: 7 });
      // Twice is once.
      expect(await Promise.all([bench.job.dispatch(), bench.job.dispatch()])).toEqual([
        { refused: false },
        { refused: false },
      ]);
      expect(bench.gpu.begun).toHaveLength(1);
      expect(bench.messages).toHaveLength(1);
      const [begun = ''] = bench.gpu.begun;
      await bench.callback(bench.gpu.step(begun, 'succeeded'));
      expect(bench.lastOf('p1')).toEqual(succeeded('miss'));
      expect(await bench.job.dispatch()).toEqual({ refused: false });
    }),
  );

  it(
    'gets it again although the queue has lost the message',
    onBench(async (bench) => {
      bench.gpu.refusals = ['busy'];
      bench.submit('p1');
      await bench.settle();
      await bench.advance(300_000);
      expect(bench.gpu.begun).toHaveLength(1);
    }),
  );

  it(
    'and, when there is still no room, with another message, each later than the last',
    onBench(async (bench) => {
      bench.gpu.refusals = Array.from({ length: 5 }, () => 'busy' as const);
      bench.submit('p1');
      await bench.settle();
      const sentAt: number[] = [];
      const start = bench.now;
      while (bench.gpu.begun.length === 0 && bench.stateOf() === 'queued') {
        const sent = bench.messages.length;
        await bench.advance(10_000);
        if (bench.messages.length > sent) sentAt.push((bench.now - start) / 1000);
      }
      // The fifth refusal was the last; nothing is sent once the runner has the work.
      expect(sentAt).toEqual([30, 90, 210, 450]);
      expect(bench.gpu.begun).toHaveLength(1);
      expect(await bench.job.dispatch()).toEqual({ refused: false });
    }),
  );

  it(
    'and its message is counted from anew once it has come',
    onBench(async (bench) => {
      bench.gpu.refusals = Array.from({ length: 3 }, () => 'busy' as const);
      bench.submit('p1');
      await bench.settle();
      for (let i = 0; i < 2; i++) {
        await bench.advance(25_000);
        expect(await bench.job.dispatch()).toEqual({ refused: true });
      }
      await bench.advance(25_000);
      expect(await bench.job.dispatch()).toEqual({ refused: false });
      expect(bench.messages).toHaveLength(1);
    }),
  );

  it(
    'does not cost attempts, however often',
    onBench(async (bench) => {
      bench.gpu.refusals = Array.from({ length: 50 }, () => 'busy' as const);
      bench.submit('p1');
      await bench.settle();
      for (let i = 0; i < 50; i++) await bench.job.dispatch();
      expect([bench.stateOf(), bench.gpu.begun.length]).toEqual(['running', 1]);
    }),
  );

  it(
    'leaves nobody waiting when the message is dead',
    onBench(async (bench) => {
      bench.gpu.refusals = ['busy'];
      bench.submit('p1');
      const answer = bench.job.obtain(requestFor());
      await bench.settle();
      bench.job.abandon();
      await bench.settle();
      expect(await answer).toMatchObject({ ok: false, error: { code: 'runner_unavailable' } });
      expect(bench.lastOf('p1')).toEqual(failed('runner_unavailable'));
      bench.job.abandon();
      await bench.settle();
      expect(bench.eventsOf('p1')).toEqual(['failed']);
    }),
  );
});

describe('a runner that is lost', () => {
  it(
    'is replaced once it is asked and does not know the work',
    onBench(async (bench) => {
      await running(bench);
      bench.gpu.restart();
      await bench.advance(JOB_LEASE_MS);
      expect(bench.gpu.begun).toEqual(['1-1', '1-2']);
      await bench.callback(bench.gpu.step('1-2', 'succeeded'));
      expect(bench.eventsOf('p1')).toEqual(['processing', 'succeeded']);
    }),
  );

  it(
    'and comes back with the work keeps it: nothing is begun twice',
    onBench(async (bench) => {
      await running(bench);
      bench.gpu.isDown = true;
      await bench.advance(JOB_LEASE_MS);
      expect(bench.stateOf()).toBe('queued');
      expect(await bench.job.dispatch()).toMatchObject({ refused: true });
      bench.gpu.isDown = false;
      expect(await bench.job.dispatch()).toEqual({ refused: false });
      expect([bench.stateOf(), bench.gpu.begun]).toEqual(['running', ['1-1']]);
      await bench.callback(bench.gpu.step('1-1', 'succeeded'));
      expect(bench.lastOf('p1')).toEqual(succeeded('miss'));
    }),
  );

  it(
    'and calls back while the work is queued again keeps it too',
    onBench(async (bench) => {
      await running(bench);
      bench.gpu.isDown = true;
      await bench.advance(JOB_LEASE_MS);
      bench.gpu.isDown = false;
      await bench.callback(bench.gpu.step('1-1', 'processing', [2, 4]));
      expect(bench.stateOf()).toBe('running');
      expect(await bench.job.dispatch()).toEqual({ refused: false });
      expect(bench.gpu).toMatchObject({ begun: ['1-1'], canceled: [] });
    }),
  );

  it(
    'did get the work although the answer was lost: it is asked before it gets it again',
    onBench(async (bench) => {
      bench.gpu.refusals = ['answer lost'];
      bench.submit('p1');
      await bench.settle();
      expect(await bench.job.dispatch()).toEqual({ refused: false });
      expect([bench.stateOf(), bench.gpu.begun]).toEqual(['running', ['1-1']]);
    }),
  );

  it(
    'that finishes after all beside its successor: one result, and the other one is stopped',
    onBench(async (bench) => {
      await running(bench);
      const old = bench.gpu.predictions.get('1-1')!;
      bench.gpu.restart();
      await bench.advance(JOB_LEASE_MS);
      bench.gpu.predictions.set('1-1', old);
      // What the old one says of itself changes nothing, and it is told to stop; its result would do.
      await bench.callback(bench.gpu.step('1-1', 'processing', [3, 4]));
      await bench.callback({ id: '1-1', status: 'failed', error: { code: 'image_undecodable', detail: '' } });
      expect([bench.stateOf(), bench.gpu.canceled]).toEqual(['running', ['1-1']]);
      old.state = { id: '1-1', status: 'processing' };
      await bench.callback(bench.gpu.step('1-1', 'succeeded'));
      expect(bench.gpu.canceled).toEqual(['1-1', '1-2']);
      await bench.callback({ id: '1-2', status: 'canceled' });
      expect(bench.eventsOf('p1').filter((type) => type !== 'progress')).toEqual(['processing', 'succeeded']);
    }),
  );

  it.each([
    ['is killed', (bench: Bench) => bench.gpu.restart()],
    [
      'fails',
      (bench: Bench, id: string) => bench.callback(bench.gpu.step(id, { code: 'runner_failed', detail: 'CUDA' })),
    ],
    ['is drained', (bench: Bench, id: string) => bench.callback({ id, status: 'canceled' })],
    ['uploads nothing', (bench: Bench, id: string) => bench.callback({ id, status: 'succeeded', report: REPORT })],
  ] as const)('%s: begun again, and not without end', async (_, breakIt) => {
    await onBench(async (bench) => {
      bench.submit('p1');
      await bench.settle();
      for (let attempt = 1; attempt <= JOB_MAX_ATTEMPTS; attempt++) {
        expect(bench.gpu.begun).toHaveLength(attempt);
        await breakIt(bench, `1-${attempt}`);
        await bench.advance(JOB_LEASE_MS);
      }
      expect(bench.gpu.begun).toHaveLength(JOB_MAX_ATTEMPTS);
      expect(bench.lastOf('p1')).toEqual(failed('runner_failed'));
      await bench.advance(JOB_LEASE_MS);
      expect(bench.eventsOf('p1')).toEqual(['failed']);
      // Whoever asks next starts anew.
      expect(bench.submit('p2')).toEqual({ started: true });
      await bench.settle();
      expect(bench.gpu.begun).toHaveLength(JOB_MAX_ATTEMPTS + 1);
    })();
  });

  it.each(['image_undecodable', 'image_truncated', 'invalid_option', 'deadline_exceeded'] as const)(
    'is not why a picture fails: %s is final, for every format',
    async (code) => {
      await onBench(async (bench) => {
        await running(bench);
        bench.submit('p2', requestFor('webp'));
        await bench.callback(bench.gpu.step('1-1', { code, detail: '' }));
        await bench.advance(60_000);
        expect(bench.gpu.begun).toEqual(['1-1']);
        expect([bench.lastOf('p1'), bench.lastOf('p2')]).toEqual([failed(code), failed(code)]);
      })();
    },
  );
});

describe('our own object, when it dies', () => {
  it(
    'before the answer came, asks before it hands over again',
    onBench(async (bench) => {
      bench.gpu.holding = new Promise(() => undefined);
      bench.submit('p1');
      await bench.settle();
      bench.gpu.holding = undefined;
      bench.restart();
      await bench.advance(30_000);
      expect([bench.stateOf(), bench.gpu.begun]).toEqual(['running', ['1-1']]);
    }),
  );

  it(
    'while the runner works, goes on with its callbacks',
    onBench(async (bench) => {
      await running(bench);
      bench.restart();
      await bench.callback(bench.gpu.step('1-1', 'succeeded'));
      expect(bench.eventsOf('p1')).toEqual(['processing', 'succeeded']);
      expect(bench.gpu.looks).toBe(0);
    }),
  );

  it(
    'at the edge, begins again, and not without end',
    onBench(async (bench) => {
      bench.edge.holding = new Promise(() => undefined);
      bench.submit('p1', requestFor('png', 'edge'));
      await bench.settle();
      for (let death = 1; death <= JOB_MAX_ATTEMPTS; death++) {
        expect(bench.edge.calls).toHaveLength(death);
        bench.restart();
        await bench.advance(30_000);
      }
      expect(bench.edge.calls).toHaveLength(JOB_MAX_ATTEMPTS);
      expect(bench.lastOf('p1')).toEqual(failed('runner_failed'));
    }),
  );
});

describe('who follows no longer', () => {
  it(
    'ends the work when it is the last',
    onBench(async (bench) => {
      await running(bench);
      bench.submit('p2');
      bench.job.leave(keyOf('png'), 'p1');
      await bench.settle();
      expect([bench.stateOf(), bench.gpu.canceled]).toEqual(['running', []]);
      bench.job.leave(keyOf('png'), 'p2');
      bench.job.leave(keyOf('png'), 'p2');
      await bench.settle();
      expect([bench.stateOf(), bench.gpu.canceled]).toEqual(['canceled', ['1-1']]);
      // A callback that was under way.
      await bench.callback({ id: '1-1', status: 'canceled' });
      await bench.callback({ id: '1-1', status: 'failed', error: { code: 'runner_failed', detail: '' } });
      expect(bench.stateOf()).toBe('canceled');
      expect(bench.eventsOf('p2')).not.toContain('failed');
    }),
  );

  it(
    'is told to a runner again that did not hear it',
    onBench(async (bench) => {
      await running(bench);
      bench.gpu.isDown = true;
      bench.job.leave(keyOf('png'), 'p1');
      await bench.settle();
      bench.gpu.isDown = false;
      await bench.callback(bench.gpu.step('1-1', 'processing', [2, 4]));
      expect(bench.gpu.predictions.get('1-1')?.state.status).toBe('canceled');
    }),
  );

  it(
    'while the work is being handed over, ends it as well',
    onBench(async (bench) => {
      const answer = Promise.withResolvers<undefined>();
      bench.gpu.holding = answer.promise;
      bench.submit('p1');
      await bench.settle();
      bench.gpu.isDown = true;
      bench.job.leave(keyOf('png'), 'p1');
      await bench.settle();
      bench.gpu.isDown = false;
      answer.resolve(undefined);
      await bench.settle();
      expect(bench.gpu.predictions.get('1-1')?.state.status).toBe('canceled');
    }),
  );

  it(
    'does not end what a request waits for',
    onBench(async (bench) => {
      await running(bench);
      const answer = bench.job.obtain(requestFor());
      bench.job.leave(keyOf('png'), 'p1');
      await bench.callback(bench.gpu.step('1-1', 'succeeded'));
      expect(await answer).toMatchObject({ ok: true });
    }),
  );

  it(
    'is why what is queued is not begun, at the edge',
    onBench(async (bench) => {
      const first = Promise.withResolvers<undefined>();
      bench.edge.holding = first.promise;
      bench.submit('p1', requestFor('png', 'edge'));
      bench.submit('p2', requestFor('webp', 'edge'));
      await bench.settle();
      bench.job.leave(keyOf('webp'), 'p2');
      first.resolve(undefined);
      await bench.settle();
      expect(bench.edge.calls).toEqual(['restore png']);
      expect(bench.lastOf('p1')).toEqual(succeeded('miss'));
      expect(bench.stateOf(keyOf('webp'))).toBe('canceled');
    }),
  );

  it(
    'may be followed by somebody new, who starts the work anew',
    onBench(async (bench) => {
      await running(bench);
      bench.job.leave(keyOf('png'), 'p1');
      expect(bench.submit('p2')).toEqual({ started: true });
      await bench.settle();
      expect(bench.gpu.begun).toEqual(['1-1', '1-2']);
      await bench.callback({ id: '1-1', status: 'canceled' });
      await bench.callback(bench.gpu.step('1-2', 'succeeded'));
      expect(bench.lastOf('p2')).toEqual(succeeded('miss'));
    }),
  );
});

describe('deadlines', () => {
  it(
    'bound the work by the latest of them',
    onBench(async (bench) => {
      bench.submit('p1', requestFor(), 60_000);
      bench.submit('p2', requestFor(), 120_000);
      await bench.settle();
      await bench.advance(119_999);
      expect(bench.stateOf()).toBe('running');
      await bench.advance(1);
      expect(bench.gpu.canceled).toEqual(['1-1']);
      expect([bench.lastOf('p1'), bench.lastOf('p2')]).toEqual([
        failed('deadline_exceeded'),
        failed('deadline_exceeded'),
      ]);
    }),
  );

  it(
    'count no longer for who has left',
    onBench(async (bench) => {
      bench.submit('p1', requestFor(), 60_000);
      bench.submit('p2', requestFor(), 120_000);
      bench.job.leave(keyOf('png'), 'p2');
      await bench.settle();
      await bench.advance(60_000);
      expect(bench.lastOf('p1')).toEqual(failed('deadline_exceeded'));
    }),
  );

  it(
    'end the wait for a runner that never has room',
    onBench(async (bench) => {
      bench.gpu.isDown = true;
      const answer = bench.job.obtain(requestFor());
      await bench.settle();
      await bench.advance(3_600_000);
      expect(await answer).toMatchObject({ ok: false, error: { code: 'deadline_exceeded' } });
    }),
  );
});

describe('events', () => {
  it(
    'come again until they are taken, in order, and no more after that',
    onBench(async (bench) => {
      bench.deaf = 'before';
      await running(bench);
      for (const done of [1, 2, 3]) await bench.callback(bench.gpu.step('1-1', 'processing', [done, 4]));
      await bench.callback(bench.gpu.step('1-1', 'succeeded'));
      await bench.advance(120_000);
      expect(bench.told.size).toBe(0);
      bench.restart();
      bench.deaf = 'after';
      await bench.advance(600_000);
      bench.deaf = undefined;
      await bench.advance(600_000);
      // Of progress nobody heard of, only the newest is worth telling.
      expect(bench.eventsOf('p1')).toEqual(['processing', 'progress', 'succeeded']);
      const { deliveries } = bench;
      expect(bench.submit('p1')).toEqual({ started: false });
      await bench.advance(3_600_000);
      expect(bench.deliveries).toBe(deliveries);
    }),
  );

  it(
    'of one subscriber do not wait for another',
    onBench(async (bench) => {
      bench.submit('p1');
      bench.submit('p2');
      await bench.settle();
      await bench.callback(bench.gpu.step('1-1', 'succeeded'));
      expect([bench.eventsOf('p1'), bench.eventsOf('p2')]).toEqual([['succeeded'], ['succeeded']]);
    }),
  );

  it(
    'reach who subscribes after the end, without another inference',
    onBench(async (bench) => {
      await running(bench);
      await bench.callback(bench.gpu.step('1-1', 'succeeded'));
      await bench.advance(60_000);
      bench.submit('p2');
      await bench.settle();
      expect(bench.eventsOf('p2')).toEqual(['succeeded']);
      expect(bench.lastOf('p2')).toEqual(succeeded('hit'));
      expect(bench.gpu.begun).toEqual(['1-1']);
    }),
  );
});

describe('the edge', () => {
  it(
    'lets a prediction wait when it has no room, and refuses a request at once',
    onBench(async (bench) => {
      const busy = { code: 'runner_busy', detail: 'Full.' } as const;
      bench.edge.failures = [busy, busy];
      const answer = bench.job.obtain(requestFor('png', 'edge'));
      expect(await answer).toEqual({ ok: false, error: busy });
      bench.submit('p1', requestFor('png', 'edge'));
      await bench.settle();
      expect(bench.messages).toMatchObject([{ message: { placement: 'edge' } }]);
      expect(await bench.job.dispatch()).toEqual({ refused: false });
      await bench.settle();
      expect(bench.lastOf('p1')).toEqual(succeeded('miss'));
    }),
  );
});

it(
  'a job forgets everything when its results have expired, and can begin anew',
  onBench(async (bench) => {
    await running(bench);
    await bench.callback(bench.gpu.step('1-1', 'succeeded'));
    await bench.advance(RESULT_RETENTION_SECONDS * 1000 - 1);
    expect(bench.deleted).toBe(0);
    await bench.advance(1);
    expect(bench.deleted).toBe(1);
    expect(await bench.job.dispatch()).toEqual({ refused: false });
    await bench.callback({ id: '1-1', status: 'processing' });
    expect(bench.gpu.canceled).toEqual(['1-1']);
    bench.shelf.clear();
    bench.gpu.restart();
    expect(bench.submit('p1')).toEqual({ started: true });
    await bench.settle();
    expect(bench.gpu.begun).toEqual(['1-1', '1-1']);
  }),
);
