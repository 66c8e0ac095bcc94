/** Which buckets an account pays from, and how much each holds. */
import {
  RATE_LIMIT_ANONYMOUS_MEGAPIXELS,
  RATE_LIMIT_KEY_MEGAPIXELS,
  RATE_LIMIT_NETWORK_MEGAPIXELS,
  RATE_LIMIT_WINDOW_SECONDS,
} from '@deblur/shared/limits.ts';
import type { RateAccount } from '../tenants/access-ports.ts';
import type { BucketPolicy } from './token-bucket.ts';

export interface Bucket {
  /** Names the bucket's object. */
  readonly key: string;
  readonly policy: BucketPolicy;
  /** Whose it is, for people. */
  readonly limit: string;
}

const bucket = (key: string, megapixels: number, limit: string): Bucket => ({
  key,
  policy: { megapixels, windowSeconds: RATE_LIMIT_WINDOW_SECONDS },
  limit,
});

/**
 * The smallest first: a caller that has nothing left takes nothing from those that it shares.
 * @param anonymousMegapixels what all anonymous work together may cost in an hour
 */
export function bucketsOf({ key, tier, networks = [] }: RateAccount, anonymousMegapixels: number): readonly Bucket[] {
  if (tier === 'local') return [];
  if (tier === 'key') return [bucket(key, RATE_LIMIT_KEY_MEGAPIXELS, 'this tenant')];
  return [
    bucket(key, RATE_LIMIT_ANONYMOUS_MEGAPIXELS, 'this address'),
    ...networks.map((network) =>
      bucket(network.key, RATE_LIMIT_NETWORK_MEGAPIXELS[network.prefix], `this network (/${network.prefix})`),
    ),
    bucket('anonymous', anonymousMegapixels, 'all anonymous work'),
  ];
}
