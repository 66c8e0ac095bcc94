import { describe, expect, it } from 'vitest';
import { parseRetryAfter } from '@deblur/shared/net/http.ts';
import { nextAttemptAt } from '../../../workers/gateway/webhooks/schedule.ts';

const HOUR = 3_600_000;
/** Standard Webhooks: at once, then after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h and 10 h. */
const DELAYS = [5_000, 300_000, 1_800_000, 2 * HOUR, 5 * HOUR, 10 * HOUR, 10 * HOUR];

describe('the schedule', () => {
  it('is that of Standard Webhooks: 27.6 hours', () => {
    const delays = DELAYS.map((_, i) => nextAttemptAt(i + 1, 0, null, 0));
    expect(delays).toEqual(DELAYS);
    expect(DELAYS.reduce((sum, delay) => sum + delay) / HOUR).toBeCloseTo(27.58, 1);
    expect(nextAttemptAt(8, 0, null, 0)).toBeNull();
  });

  it('is only ever later by chance, and by a tenth at most', () => {
    for (const [i, delay] of DELAYS.entries()) {
      expect(nextAttemptAt(i + 1, 1000, null, 0.5)).toBe(1000 + delay * 1.05);
      expect(nextAttemptAt(i + 1, 1000, null, 0.999_999)).toBeLessThanOrEqual(1000 + delay * 1.1);
    }
  });

  it('waits as long as it is asked to, but not for ever, and never less than planned', () => {
    expect(nextAttemptAt(1, 0, 120, 0)).toBe(120_000);
    expect(nextAttemptAt(2, 0, 120, 0)).toBe(300_000);
    expect(nextAttemptAt(1, 0, 1e9, 0)).toBe(10 * HOUR);
    expect(nextAttemptAt(8, 0, 120, 0)).toBeNull();
  });

  const now = Date.UTC(2026, 0, 1);
  it.each([
    ['120', 120],
    [' 0 ', 0],
    ['Thu, 01 Jan 2026 00:01:00 GMT', 60],
    ['Wed, 31 Dec 2025 23:00:00 GMT', 0],
    [null, null],
    ['', null],
    ['soon', null],
    ['-5', null],
    ['1.5', null],
    ['2026', 2026],
    ['2026-01-01', null],
    ['9'.repeat(400), null],
    ['Thu, banana', null],
  ])('Retry-After: %s is %s s', (header, seconds) => {
    expect(parseRetryAfter(header, now)).toBe(seconds);
  });
});
