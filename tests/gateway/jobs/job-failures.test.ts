/** Runners that are full or lost, and a job object that dies: the work is done once all the same, or fails with a code. */
import { JOB_LEASE_MS, JOB_MAX_ATTEMPTS } from '@deblur/shared/limits.ts';
import { describe, expect, it } from 'vitest';
import { failed, onBench, running, succeeded, type Bench } from './harness.ts';
import { REPORT, requestFor, RESTORATION_KEY } from './requests.ts';

describe('a runner without room', () => {
  it(
    'gets the work again with its message, which is sent once and after as long as it asks',
    onBench(async (bench) => {
      bench.gpu.refusals = ['busy', 'busy', 'unavailable'];
      bench.gpu.retryAfterSeconds = 7;
      bench.submit('p1');
      await bench.settle();
      const message = { restorationKey: RESTORATION_KEY, placement: 'runner', number: 1 };
      expect(bench.messages).toEqual([{ message, delaySeconds: 7 }]);
      expect(await bench.job.dispatch(1)).toEqual({ refused: true, retryAfterSeconds: 7 });
      expect(await bench.job.dispatch(1)).toEqual({ refused: true, retryAfterSeconds: 7 });
      // Twice is once.
      expect(await Promise.all([bench.job.dispatch(1), bench.job.dispatch(1)])).toEqual([
        { refused: false },
        { refused: false },
      ]);
      expect(bench.gpu.begun).toHaveLength(1);
      expect(bench.messages).toHaveLength(1);
      const [begun = ''] = bench.gpu.begun;
      await bench.callback(bench.gpu.step(begun, 'succeeded'));
      expect(bench.lastOf('p1')).toEqual(succeeded('miss'));
      expect(await bench.job.dispatch(1)).toEqual({ refused: false });
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
    'and, when there is still no room, with another message, in whose place a late one is dropped',
    onBench(async (bench) => {
      bench.gpu.refusals = Array.from({ length: 5 }, () => 'busy' as const);
      bench.submit('p1');
      await bench.settle();
      await bench.advance(120_000);
      expect(bench.messages.map(({ message }) => message.number)).toEqual([1, 2, 3]);
      expect(await bench.job.dispatch(2)).toEqual({ refused: false });
      expect([bench.stateOf(), bench.gpu.refusals.length]).toEqual(['queued', 2]);
      expect(await bench.job.dispatch(3)).toEqual({ refused: true });
      expect(await bench.job.dispatch(3)).toEqual({ refused: true });
      expect(await bench.job.dispatch(3)).toEqual({ refused: false });
      expect(bench.gpu.begun).toHaveLength(1);
    }),
  );

  it(
    'and with no other one while it comes in time',
    onBench(async (bench) => {
      bench.gpu.refusals = Array.from({ length: 5 }, () => 'busy' as const);
      bench.submit('p1');
      await bench.settle();
      for (let i = 0; i < 4; i++) {
        await bench.advance(50_000);
        expect(await bench.job.dispatch(1)).toEqual({ refused: true });
      }
      await bench.advance(50_000);
      expect(await bench.job.dispatch(1)).toEqual({ refused: false });
      expect(bench.messages).toHaveLength(1);
    }),
  );

  it(
    'does not cost attempts, however often',
    onBench(async (bench) => {
      bench.gpu.refusals = Array.from({ length: 50 }, () => 'busy' as const);
      bench.submit('p1');
      await bench.settle();
      for (let i = 0; i < 50; i++) await bench.job.dispatch(1);
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
      expect(await bench.job.dispatch(1)).toMatchObject({ refused: true });
      bench.gpu.isDown = false;
      expect(await bench.job.dispatch(1)).toEqual({ refused: false });
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
      expect(await bench.job.dispatch(1)).toEqual({ refused: false });
      expect(bench.gpu).toMatchObject({ begun: ['1-1'], canceled: [] });
    }),
  );

  it(
    'did get the work although the answer was lost: it is asked before it gets it again',
    onBench(async (bench) => {
      bench.gpu.refusals = ['answer lost'];
      bench.submit('p1');
      await bench.settle();
      expect(await bench.job.dispatch(1)).toEqual({ refused: false });
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
