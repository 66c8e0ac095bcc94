/** The headers by which a create is bounded and made idempotent. */
import {
  IDEMPOTENCY_KEY_MAX_CHARACTERS,
  MIN_CANCEL_AFTER_SECONDS,
  PREDICTION_DEADLINE_SECONDS,
} from '@deblur/shared/limits.ts';
import { invalidOption, notADuration, optionOutOfRange } from '@deblur/shared/protocol/errors.ts';

export const DURATION = /^(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s?)?$/;

/**
 * `Cancel-After`, as Replicate has it: `30`, `30s`, `2m`, `1h30m45s`.
 * @returns seconds from creation; the service's own deadline without the header
 * @throws {DeblurError} `invalid_option`
 */
export function cancelAfterSeconds(header: string | undefined): number {
  if (header === undefined) return PREDICTION_DEADLINE_SECONDS;
  const text = header.trim();
  const units = DURATION.exec(text)?.slice(1);
  if (units === undefined || text === '') throw notADuration('Cancel-After');
  const [days, hours, minutes, seconds] = units.map((unit) => Number(unit ?? 0));
  const total = (((days ?? 0) * 24 + (hours ?? 0)) * 60 + (minutes ?? 0)) * 60 + (seconds ?? 0);
  if (total >= MIN_CANCEL_AFTER_SECONDS && total <= PREDICTION_DEADLINE_SECONDS) return total;
  throw optionOutOfRange('Cancel-After', `${MIN_CANCEL_AFTER_SECONDS} s`, `${PREDICTION_DEADLINE_SECONDS} s`);
}

/**
 * `Idempotency-Key`: any visible text; quoted as the IETF draft has it, or not.
 * @throws {DeblurError} `invalid_option`
 */
export function idempotencyKeyOf(header: string | undefined): string | null {
  if (header === undefined) return null;
  const key = header.trim();
  if (key !== '' && key.length <= IDEMPOTENCY_KEY_MAX_CHARACTERS && /^[\x20-\x7e]+$/.test(key)) return key;
  throw invalidOption('Idempotency-Key', `must have 1 to ${IDEMPOTENCY_KEY_MAX_CHARACTERS} printable ASCII characters`);
}
