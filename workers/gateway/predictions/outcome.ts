/** How predictions end, and the figures that their ends have. */
import { deadlineExceeded, gone, toWireError } from '@deblur/shared/protocol/errors.ts';
import type { RestoreReport } from '@deblur/shared/protocol/runner-api.ts';
import type { JobReport } from '../jobs/ports.ts';
import type { Placement } from '../results/stored-result.ts';
import type { Ending, PredictionState } from './prediction-table.ts';

/** The result was there before anything was asked of a job. */
export const HIT: JobReport = { cache: 'hit', queueMs: 0, runMs: 0 };

export const DEADLINE_EXCEEDED = toWireError(deadlineExceeded());

/** The result was erased while it was made. */
export const RESULT_ERASED = toWireError(gone('result'));

/** Times in seconds, from milliseconds since the epoch. A start that was not announced is counted back from the end. */
export function success(
  { createdAt, ...state }: Pick<PredictionState, 'createdAt' | 'startedAt'>,
  report: JobReport,
  placement: Placement,
  now: number,
): Ending {
  const startedAt = state.startedAt ?? Math.max(createdAt, now - report.runMs);
  const metrics = {
    predict_time: report.runMs / 1000,
    queue_time: (startedAt - createdAt) / 1000,
    ...(report.restore === undefined ? {} : inference(report.restore)),
    placement,
    cache: report.cache,
  };
  return { status: 'succeeded', error: null, metrics, startedAt };
}

/** What the inference says of itself; runners of an older release say less. */
function inference({ tiles, scale, restoredPixels, change }: RestoreReport): Ending['metrics'] {
  return {
    tiles,
    ...(scale === undefined ? {} : { scale }),
    ...(restoredPixels === undefined ? {} : { restored_megapixels: restoredPixels / 1e6 }),
    ...(change === undefined ? {} : { change }),
  };
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
