import { expect, it } from 'vitest';
import { measured, success } from '../../../workers/gateway/predictions/outcome.ts';

const report = {
  cache: 'coalesced',
  queueMs: 0,
  runMs: 1_500,
  restore: { width: 420, height: 310, tiles: 6, decodeMs: 1, inferMs: 2, restoreMs: 3, encodeMs: 4 },
} as const;

it('counts the time in the queue to the start that was heard of, else to when the work must have begun', () => {
  const state = { createdAt: 10_000, startedAt: 14_000 };
  expect(success(state, report, 'runner', 20_000)).toEqual({
    status: 'succeeded',
    error: null,
    startedAt: 14_000,
    metrics: { predict_time: 1.5, queue_time: 4, tiles: 6, placement: 'runner', cache: 'coalesced' },
  });
  const unheard = success({ ...state, startedAt: null }, report, 'runner', 20_000);
  expect([unheard.startedAt, unheard.metrics.queue_time]).toEqual([18_500, 8.5]);
  // Work that others had begun before the prediction was made.
  expect(success({ ...state, createdAt: 19_000, startedAt: null }, report, 'runner', 20_000).metrics.queue_time).toBe(
    0,
  );
});

it('says of every end how long it took, and of a known picture how large it is', () => {
  const canceled = { status: 'canceled', error: null } as const;
  expect(measured({ createdAt: 1_000, megapixels: null }, canceled, 3_500).metrics).toEqual({ total_time: 2.5 });
  expect(measured({ createdAt: 1_000, megapixels: 2 }, canceled, 3_500).metrics).toEqual({
    total_time: 2.5,
    megapixels: 2,
  });
});
