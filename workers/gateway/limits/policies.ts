/** Which account may do how much. */
import {
  RATE_LIMIT_ANONYMOUS_MEGAPIXELS,
  RATE_LIMIT_KEY_MEGAPIXELS,
  RATE_LIMIT_WINDOW_SECONDS,
} from '@deblur/shared/limits.ts';
import type { RateAccount } from '../tenants/access-ports.ts';
import type { BucketPolicy } from './token-bucket.ts';

export function megapixelPolicy({ tier }: RateAccount): BucketPolicy {
  const megapixels = tier === 'anonymous' ? RATE_LIMIT_ANONYMOUS_MEGAPIXELS : RATE_LIMIT_KEY_MEGAPIXELS;
  return { megapixels, windowSeconds: RATE_LIMIT_WINDOW_SECONDS };
}
