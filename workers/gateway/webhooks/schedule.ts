/** When a webhook is tried again. Pure. */
import {
  WEBHOOK_ATTEMPT_DELAYS_SECONDS,
  WEBHOOK_JITTER,
  WEBHOOK_RETRY_AFTER_MAX_SECONDS,
} from '@deblur/shared/limits.ts';

/**
 * @param attempts how often it was tried
 * @param failedAt when the last attempt ended, milliseconds since the epoch
 * @param retryAfterSeconds what the receiver asked for, if it did: never earlier than that
 * @param random in [0, 1): only ever later than the schedule, so that receivers who were down meet no wave
 * @returns when the next attempt is due, or null when there is none left
 */
export function nextAttemptAt(
  attempts: number,
  failedAt: number,
  retryAfterSeconds: number | null,
  random: number,
): number | null {
  const delay = WEBHOOK_ATTEMPT_DELAYS_SECONDS[attempts];
  if (delay === undefined) return null;
  const asked = Math.min(retryAfterSeconds ?? 0, WEBHOOK_RETRY_AFTER_MAX_SECONDS);
  return failedAt + Math.ceil(Math.max(delay, asked) * 1000 * (1 + WEBHOOK_JITTER * random));
}
