/**
 * Two limits. Megapixels, which cost a GPU's time, are counted exactly, in one object per bucket: a call of some
 * milliseconds before an inference of some hundred. Anonymous work is paid from the buckets of its address, of the networks
 * around it and of all anonymous work, so that many addresses together cost no more than the operator has allowed. Requests, which cost next to nothing, are counted by the runtime's own
 * counters, in the same data centre and without a call: a hit pays nothing else.
 *
 * A limiter that fails refuses nobody: what it protects has bounds of its own (queues, slots), and every answer would fail
 * with it.
 */
import { RATE_LIMIT_MIN_MEGAPIXELS } from '@deblur/shared/limits.ts';
import type { RateAccount, RateCharge, RateLimits } from '../tenants/access-ports.ts';
import { bucketsOf, type Bucket } from './policies.ts';
import type { BucketCharge, BucketPolicy } from './token-bucket.ts';

/** The method of RateLimitObject that is called from outside. */
interface BucketStub {
  charge(policy: BucketPolicy, megapixels: number): Promise<BucketCharge>;
}

/** The runtime's counter, bound with its limit and window. */
interface RequestCounter {
  limit(options: { readonly key: string }): Promise<{ readonly success: boolean }>;
}

export interface CloudflareRateLimitsOptions {
  readonly bucketOf: (account: string) => BucketStub;
  readonly counters: { readonly key: RequestCounter; readonly anonymous: RequestCounter };
  /** What all anonymous work together may cost in an hour: the operator's worst bill. */
  readonly anonymousMegapixels: number;
}

export class CloudflareRateLimits implements RateLimits {
  readonly #options: CloudflareRateLimitsOptions;

  constructor(options: CloudflareRateLimitsOptions) {
    this.#options = options;
  }

  async admit({ key, tier }: RateAccount): Promise<boolean> {
    const { counters } = this.#options;
    try {
      return (await (tier === 'anonymous' ? counters.anonymous : counters.key).limit({ key })).success;
    } catch (error) {
      logFailure('admit', error);
      return true;
    }
  }

  async charge(account: RateAccount, megapixels: number): Promise<RateCharge> {
    const price = Math.max(megapixels, RATE_LIMIT_MIN_MEGAPIXELS);
    const paid: Bucket[] = [];
    let least = UNLIMITED;
    for (const bucket of this.#bucketsOf(account)) {
      const charge = { ...(await this.#spend(bucket, price)), limit: bucket.limit };
      if (!charge.allowed) {
        await Promise.all(paid.map((other) => this.#giveBack(other, price)));
        return charge;
      }
      paid.push(bucket);
      if (charge.remaining < least.remaining) least = charge;
    }
    return least;
  }

  async refund(account: RateAccount, megapixels: number): Promise<void> {
    const price = Math.max(megapixels, RATE_LIMIT_MIN_MEGAPIXELS);
    await Promise.all(this.#bucketsOf(account).map((bucket) => this.#giveBack(bucket, price)));
  }

  #bucketsOf(account: RateAccount): readonly Bucket[] {
    return bucketsOf(account, this.#options.anonymousMegapixels);
  }

  /** As much as was taken: no price is more than a full bucket. */
  async #giveBack(bucket: Bucket, price: number): Promise<void> {
    await this.#spend(bucket, -Math.min(price, bucket.policy.megapixels));
  }

  /** Not tried again: a charge that arrived and was not answered would be paid twice. */
  async #spend({ key, policy }: Bucket, megapixels: number): Promise<BucketCharge> {
    try {
      return await this.#options.bucketOf(key).charge(policy, megapixels);
    } catch (error) {
      logFailure('charge', error);
      return { allowed: true, remaining: policy.megapixels, resetSeconds: 0, retryAfterSeconds: 0 };
    }
  }
}

const UNLIMITED: RateCharge = {
  allowed: true,
  remaining: Number.MAX_SAFE_INTEGER,
  resetSeconds: 0,
  retryAfterSeconds: 0,
  limit: '',
};

function logFailure(operation: string, error: unknown): void {
  console.error(JSON.stringify({ level: 'error', event: 'rate_limit_failed', operation, error: String(error) }));
}
