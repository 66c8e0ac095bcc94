/** Everything about a prediction that has a time, in milliseconds since the epoch; Infinity is never. */
import {
  PREDICTION_DATA_RETENTION_SECONDS,
  PREDICTION_RETENTION_SECONDS,
  PREDICTION_WATCHDOG_MS,
} from '@deblur/shared/limits.ts';
import { isTerminal } from '@deblur/shared/protocol/prediction.ts';
import type { PredictionState } from './prediction-table.ts';

export const dataRemovedAt = ({ completedAt }: PredictionState): number =>
  completedAt === null ? Infinity : completedAt + PREDICTION_DATA_RETENTION_SECONDS * 1000;

export const expiresAt = ({ createdAt }: PredictionState): number => createdAt + PREDICTION_RETENTION_SECONDS * 1000;

/** When the object has to be woken next, deliveries aside. */
export function nextDue(state: PredictionState, now: number): number {
  const { work, retryAt, status, deadlineAt, dataRemoved } = state;
  const busy = work === 'fetch' || work === 'submit' || work === 'leave';
  return Math.min(
    busy ? (retryAt ?? now + PREDICTION_WATCHDOG_MS) : Infinity,
    isTerminal(status) ? Infinity : deadlineAt,
    dataRemoved ? Infinity : dataRemovedAt(state),
    expiresAt(state),
  );
}
