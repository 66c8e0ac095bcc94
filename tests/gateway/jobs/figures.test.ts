/** What the operator sees of a job: the gauge of live jobs, and the ends that are counted. */
import { STATS_JOB_LEASE_MS } from '@deblur/shared/limits.ts';
import { describe, expect, it } from 'vitest';
import { onBench, type Bench } from './harness.ts';
import { keyOf, requestFor, RESTORATION_KEY } from './requests.ts';

/** Sequences that did not rise would be ignored by whoever counts. */
const rises = ({ stats }: Bench): boolean =>
  stats.reports.every(({ sequence }, i) => sequence > (stats.reports[i - 1]?.sequence ?? 0));

describe('a job in the gauge', () => {
  it(
    'is running while the runner has it, and over when it has ended',
    onBench(async (bench) => {
      bench.submit('p1');
      await bench.settle();
      expect(bench.stats.reports).toMatchObject([
        { id: RESTORATION_KEY, job: { state: 'running', placement: 'runner' } },
      ]);
      bench.gpu.step('1-1', 'succeeded');
      await bench.advance(5_000);
      expect(bench.stats.states).toEqual(['running runner', 'over']);
      expect(rises(bench)).toBe(true);
    }),
  );

  it(
    'is running while the edge works on it',
    onBench(async (bench) => {
      const work = Promise.withResolvers<undefined>();
      bench.edge.holding = work.promise;
      bench.submit('p1', requestFor('png', 'edge'));
      await bench.settle();
      expect(bench.stats.states).toEqual(['running edge']);
      work.resolve(undefined);
      await bench.settle();
      expect(bench.stats.states).toEqual(['running edge', 'over']);
    }),
  );

  it(
    'is queued while the runner has no room',
    onBench(async (bench) => {
      bench.gpu.refusals = ['busy'];
      bench.submit('p1');
      await bench.settle();
      expect(bench.stats.states.at(-1)).toBe('queued runner');
      await bench.job.dispatch(1);
      await bench.settle();
      expect(bench.stats.states.at(-1)).toBe('running runner');
      expect(rises(bench)).toBe(true);
    }),
  );

  it(
    'is told again before its lease ends, also by the next object and after a report that was lost',
    onBench(async (bench) => {
      bench.stats.isDown = true;
      bench.submit('p1');
      await bench.settle();
      bench.stats.isDown = false;
      await bench.advance(STATS_JOB_LEASE_MS);
      const { length } = bench.stats.states;
      expect(length).toBeGreaterThanOrEqual(1);
      bench.restart();
      await bench.advance(STATS_JOB_LEASE_MS);
      expect(bench.stats.states.length).toBeGreaterThan(length);
      expect(new Set(bench.stats.states)).toEqual(new Set(['running runner']));
      expect(rises(bench)).toBe(true);
    }),
  );
});

describe('the counters', () => {
  it(
    'know how each restoration and encoding of the runner ended, once',
    onBench(async (bench) => {
      bench.submit('p1');
      bench.submit('p2', requestFor('webp'));
      bench.submit('p3', requestFor('jpeg'));
      await bench.settle();
      const done = bench.gpu.step('1-1', 'succeeded');
      await bench.callback(done);
      await bench.callback(done);
      await bench.callback(bench.gpu.step('2-1', 'succeeded'), keyOf('webp'));
      bench.job.leave(keyOf('jpeg'), 'p3');
      await bench.settle();
      expect(bench.stats.counts).toEqual([
        'deblur_restorations_total runner succeeded',
        'deblur_restoration_seconds_total runner',
        'deblur_encodings_total runner succeeded',
        'deblur_encodings_total runner canceled',
      ]);
    }),
  );

  it(
    'know why the runner failed',
    onBench(async (bench) => {
      bench.submit('p1');
      await bench.settle();
      await bench.callback(bench.gpu.step('1-1', { code: 'image_undecodable', detail: 'Broken.' }));
      expect(bench.stats.counts).toEqual(['deblur_restorations_total runner image_undecodable']);
    }),
  );
});
