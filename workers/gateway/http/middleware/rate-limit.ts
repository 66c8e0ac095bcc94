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
import { unpaid, type RateAccount, type RateLimits } from '../../tenants/access-ports.ts';
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

/**
 * Charges what a request costs once its price is known: a hit nothing, else the megapixels of its source.
 * @returns the charge, which throws `rate_limited` when the megapixels are not there
 */
export function megapixelCharge(limits: RateLimits, c: AppContext): (megapixels: number) => Promise<void> {
  return async (megapixels) => {
    const account = c.get('account');
    if (QUOTAS[account.tier] === null) return;
    const charge = await limits.charge(account, megapixels);
    // The tightest of the buckets that paid.
    c.header('RateLimit', `"megapixels";r=${Math.floor(charge.remaining)};t=${charge.resetSeconds}`);
    if (!charge.allowed) throw unpaid(megapixels, charge);
  };
}

/** The unit `megapixels` is ours: the draft's registry knows requests, content bytes and concurrent requests. */
function policyOf({ requests, megapixels }: Quota): string {
  return (
    `"megapixels";q=${megapixels};w=${RATE_LIMIT_WINDOW_SECONDS};qu="megapixels", ` +
    `"requests";q=${requests};w=${REQUEST_LIMIT_WINDOW_SECONDS}`
  );
}
