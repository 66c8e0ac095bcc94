/** How predictions end, and the figures that their ends have. */
import type { WireError } from '@deblur/shared/protocol/errors.ts';
import type { JobReport } from '../jobs/ports.ts';
import type { Placement } from '../results/ports.ts';
import { toldCache } from '../references/ports.ts';
import type { Ending, PredictionState } from './prediction-table.ts';

/** The result was there before anything was asked of a job. */
export const HIT: JobReport = { cache: 'hit', queueMs: 0, runMs: 0 };

export const DEADLINE_EXCEEDED: WireError = {
  code: 'deadline_exceeded',
  detail: 'The deadline of the prediction has passed.',
};

/** What is stored stays, unless its last holder lets go of it. */
export const RESULT_ERASED: WireError = { code: 'gone', detail: 'The result was erased while it was made.' };

/** Times in seconds, from milliseconds since the epoch. A start that was not heard of is counted back from the end. */
export function success(
  state: Pick<PredictionState, 'createdAt' | 'startedAt' | 'tellsCache'>,
  report: JobReport,
  placement: Placement,
  now: number,
): Ending {
  const { createdAt, tellsCache } = state;
  const told = { placement, cache: toldCache(report.cache, tellsCache) };
  // Whoever may not know what it cost is not told what was measured of it either: no inference takes no time.
  if (!tellsCache) {
    return { status: 'succeeded', error: null, metrics: told, startedAt: state.startedAt ?? createdAt };
  }
  const startedAt = state.startedAt ?? Math.max(createdAt, now - report.runMs);
  const metrics = {
    predict_time: report.runMs / 1000,
    queue_time: (startedAt - createdAt) / 1000,
    ...(report.restore === undefined ? {} : { tiles: report.restore.tiles }),
    ...told,
  };
  return { status: 'succeeded', error: null, metrics, startedAt };
}

/** With the figures that every end has. */
export function measured(
  { createdAt, megapixels }: Pick<PredictionState, 'createdAt' | 'megapixels'>,
  ending: Omit<Ending, 'metrics'> & Partial<Ending>,
  now: number,
): Ending {
  const own = megapixels === null ? {} : { megapixels };
  return { ...ending, metrics: { ...ending.metrics, total_time: (now - createdAt) / 1000, ...own } };
}
