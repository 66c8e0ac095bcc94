/**
 * Two limits. Megapixels, which cost a GPU's time, are counted exactly, in one object per account: a call of some
 * milliseconds before an inference of some hundred. Requests, which cost next to nothing, are counted by the runtime's own
 * counters, in the same data centre and without a call: a hit pays nothing else.
 *
 * A limiter that fails refuses nobody: what it protects has bounds of its own (queues, slots), and every answer would fail
 * with it.
 */
import { RATE_LIMIT_MIN_MEGAPIXELS } from '@deblur/shared/limits.ts';
import type { RateAccount, RateCharge, RateLimits } from '../tenants/access-ports.ts';
import { megapixelPolicy } from './policies.ts';
import type { BucketPolicy } from './token-bucket.ts';

/** The method of RateLimitObject that is called from outside. */
interface BucketStub {
  charge(policy: BucketPolicy, megapixels: number): Promise<RateCharge>;
}

/** The runtime's counter, bound with its limit and window. */
interface RequestCounter {
  limit(options: { readonly key: string }): Promise<{ readonly success: boolean }>;
}

export interface CloudflareRateLimitsOptions {
  readonly bucketOf: (account: string) => BucketStub;
  readonly counters: { readonly key: RequestCounter; readonly anonymous: RequestCounter };
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
    return this.#spend(account, Math.max(megapixels, RATE_LIMIT_MIN_MEGAPIXELS));
  }

  async refund(account: RateAccount, megapixels: number): Promise<void> {
    // As much as was taken: no price is more than a full bucket.
    const taken = Math.min(Math.max(megapixels, RATE_LIMIT_MIN_MEGAPIXELS), megapixelPolicy(account).megapixels);
    await this.#spend(account, -taken);
  }

  /** Not tried again: a charge that arrived and was not answered would be paid twice. */
  async #spend(account: RateAccount, megapixels: number): Promise<RateCharge> {
    const policy = megapixelPolicy(account);
    const free = { allowed: true, remaining: policy.megapixels, resetSeconds: 0, retryAfterSeconds: 0 };
    if (account.tier === 'local') return free;
    try {
      return await this.#options.bucketOf(account.key).charge(policy, megapixels);
    } catch (error) {
      logFailure('charge', error);
      return free;
    }
  }
}

function logFailure(operation: string, error: unknown): void {
  console.error(JSON.stringify({ level: 'error', event: 'rate_limit_failed', operation, error: String(error) }));
}
