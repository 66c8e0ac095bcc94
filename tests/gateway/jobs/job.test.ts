import { JOB_LEASE_MS, RESULT_RETENTION_SECONDS } from '@deblur/shared/limits.ts';
import { describe, expect, it } from 'vitest';
import { onBench, running, succeeded } from './harness.ts';
import { keyOf, REPORT, requestFor } from './requests.ts';

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
      expect(await bench.job.dispatch(1)).toEqual({ refused: false });
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
    expect(await bench.job.dispatch(1)).toEqual({ refused: false });
    await bench.callback({ id: '1-1', status: 'processing' });
    expect(bench.gpu.canceled).toEqual(['1-1']);
    bench.shelf.clear();
    bench.gpu.restart();
    expect(bench.submit('p1')).toEqual({ started: true });
    await bench.settle();
    expect(bench.gpu.begun).toEqual(['1-1', '1-1']);
  }),
);
