/**
 * 429, and the headers that keep a client from it: `RateLimit-Policy` and `RateLimit`
 * (draft-ietf-httpapi-ratelimit-headers-11), and `Retry-After`.
 */
import { tooManyRequests } from '@deblur/shared/protocol/errors.ts';
import {
  RATE_LIMIT_ANONYMOUS_MEGAPIXELS,
  RATE_LIMIT_KEY_MEGAPIXELS,
  RATE_LIMIT_WINDOW_SECONDS,
  REQUEST_LIMIT_ANONYMOUS,
  REQUEST_LIMIT_KEY,
  REQUEST_LIMIT_WINDOW_SECONDS,
} from '@deblur/shared/limits.ts';
import type { MiddlewareHandler } from 'hono';
import type { RateAccount, RateLimits } from '../../tenants/access-ports.ts';
import type { AppContext, AppEnv } from '../context.ts';

interface Quota {
  readonly requests: number;
  readonly megapixels: number;
}

/** Null: no limit counts. */
const QUOTAS: Readonly<Record<RateAccount['tier'], Quota | null>> = {
  local: null,
  anonymous: { requests: REQUEST_LIMIT_ANONYMOUS, megapixels: RATE_LIMIT_ANONYMOUS_MEGAPIXELS },
  key: { requests: REQUEST_LIMIT_KEY, megapixels: RATE_LIMIT_KEY_MEGAPIXELS },
};

/** Counts the request, and says on every answer what the limits are. */
export function limitRequests(limits: RateLimits): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const account = c.get('account');
    const quota = QUOTAS[account.tier];
    if (quota !== null) {
      c.header('RateLimit-Policy', policyOf(quota));
      await admit(limits, account, c);
    }
    await next();
  };
}

/** @throws {DeblurError} `rate_limited` when there were too many requests */
export async function admit(limits: RateLimits, account: RateAccount, c: AppContext): Promise<void> {
  const quota = QUOTAS[account.tier];
  if (quota === null || (await limits.admit(account))) return;
  c.header('RateLimit', `"requests";r=0;t=${REQUEST_LIMIT_WINDOW_SECONDS}`);
  throw tooManyRequests(
    quota.requests,
    REQUEST_LIMIT_WINDOW_SECONDS,
    account.tier === 'anonymous' ? 'this address' : 'this tenant',
  );
}

/** The same limits; the answer tells what every charge has left, in the header `RateLimit`. */
export function shownLimits(limits: RateLimits, c: AppContext): RateLimits {
  return {
    admit: (account) => limits.admit(account),
    refund: (account, megapixels) => limits.refund(account, megapixels),
    charge: async (account, megapixels) => {
      const charge = await limits.charge(account, megapixels);
      if (QUOTAS[account.tier] !== null) {
        // The tightest of the buckets that paid.
        c.header('RateLimit', `"megapixels";r=${Math.floor(charge.remaining)};t=${charge.resetSeconds}`);
      }
      return charge;
    },
  };
}

/** The unit `megapixels` is ours: the draft's registry knows requests, content bytes and concurrent requests. */
function policyOf({ requests, megapixels }: Quota): string {
  return (
    `"megapixels";q=${megapixels};w=${RATE_LIMIT_WINDOW_SECONDS};qu="megapixels", ` +
    `"requests";q=${requests};w=${REQUEST_LIMIT_WINDOW_SECONDS}`
  );
}
