/** A token bucket in megapixels. Pure: the caller passes the time and keeps the state. */

import type { RateCharge } from '../tenants/access-ports.ts';

export interface BucketPolicy {
  /** Of a full bucket. */
  readonly megapixels: number;
  /** In which an empty one is full again, evenly. */
  readonly windowSeconds: number;
}

/** A bucket after a charge. */
export type BucketCharge = Omit<RateCharge, 'limit'>;

export interface BucketState {
  readonly megapixels: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/**
 * @param state undefined: a full bucket
 * @param price more than a full bucket holds counts as a full bucket, or it could never be paid; what is below zero is
 * given back
 */
export function spend(
  state: BucketState | undefined,
  { megapixels: capacity, windowSeconds }: BucketPolicy,
  price: number,
  now: number,
): { readonly state: BucketState; readonly charge: BucketCharge } {
  const perSecond = capacity / windowSeconds;
  // A clock that goes backwards fills nothing.
  const elapsedSeconds = state === undefined ? 0 : Math.max(0, now - state.at) / 1000;
  const available = state === undefined ? capacity : Math.min(capacity, state.megapixels + elapsedSeconds * perSecond);
  const due = Math.min(price, capacity);
  const allowed = available >= due;
  const left = allowed ? Math.min(capacity, available - due) : available;
  return {
    state: { megapixels: left, at: now },
    charge: {
      allowed,
      remaining: Math.max(0, left),
      resetSeconds: Math.ceil((capacity - left) / perSecond),
      retryAfterSeconds: allowed ? 0 : Math.max(1, Math.ceil((due - available) / perSecond)),
    },
  };
}
