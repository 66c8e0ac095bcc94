/** Who follows a job, until when, and what becomes of the work when they leave. */
import { describe, expect, it } from 'vitest';
import { failed, onBench, running, succeeded } from './harness.ts';
import { keyOf, requestFor } from './requests.ts';

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
    'ends what only the request waited for that has become this prediction',
    onBench(async (bench) => {
      const [p1, p2] = ['p1', 'p2'].map((subscriberId) => ({ subscriberId, deadlineAt: bench.now + 3_600_000 }));
      void bench.job.obtain(requestFor(), p1);
      void bench.job.obtain(requestFor(), p2);
      await bench.settle();
      bench.submit('p1');
      bench.job.leave(keyOf('png'), 'p1');
      expect(bench.stateOf()).toBe('running');
      // Before it followed the job at all.
      bench.job.leave(keyOf('png'), 'p2');
      expect(bench.stateOf()).toBe('canceled');
      expect(bench.gpu.canceled).toEqual(['1-1']);
    }),
  );

  it(
    'does not end what was asked for anew after the request that waited was answered',
    onBench(async (bench) => {
      const answer = bench.job.obtain(requestFor(), { subscriberId: 'p1', deadlineAt: bench.now + 3_600_000 });
      await bench.settle();
      await bench.callback(bench.gpu.step('1-1', { code: 'image_undecodable', detail: 'It is none.' }));
      expect(await answer).toMatchObject({ ok: false });
      bench.submit('p2');
      await bench.settle();
      bench.job.leave(keyOf('png'), 'p2');
      expect(bench.stateOf()).toBe('canceled');
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
    'fails with gone when the result was erased while it was made',
    onBench(async (bench) => {
      await running(bench);
      bench.shelf.erase('result', keyOf('png'), 'v2');
      await bench.callback(bench.gpu.step('1-1', 'succeeded'));
      expect(bench.lastOf('p1')).toEqual(failed('gone'));
      expect(bench.shelf.has(keyOf('png'))).toBe(false);
    }),
  );

  it(
    'makes a result anew that was erased before it was asked for',
    onBench(async (bench) => {
      const request = requestFor('png', 'edge');
      bench.shelf.erase('result', keyOf('png'), 'v1');
      bench.shelf.erase('master', request.task.restorationKey, 'v1');
      bench.submit('p1', { ...request, task: { ...request.task, replaces: 'v1' } });
      await bench.settle();
      expect(bench.lastOf('p1')).toEqual(succeeded('miss'));
      expect(bench.shelf.has(keyOf('png'))).toBe(true);
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
    'of a request bound the work too',
    onBench(async (bench) => {
      const answer = bench.job.obtain(requestFor(), { subscriberId: 'p1', deadlineAt: bench.now + 10_000 });
      await bench.settle();
      await bench.advance(10_000);
      expect(await answer).toMatchObject({ ok: false, error: { code: 'deadline_exceeded' } });
      expect(bench.gpu.canceled).toEqual(['1-1']);
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
