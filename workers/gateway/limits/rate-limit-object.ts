/** One object for each account: its bucket, exact wherever in the world it is charged. A full bucket is no bucket. */
import { DurableObject } from 'cloudflare:workers';
import { spend, type BucketCharge, type BucketPolicy, type BucketState } from './token-bucket.ts';

const BUCKET = 'bucket';

interface StoredBucket extends BucketState {
  /** Milliseconds since the epoch. */
  readonly fullAt: number;
}

export class RateLimitObject extends DurableObject<Env> {
  /** Nothing is awaited between reading and writing: of two charges at once the second sees what the first has left. */
  async charge(policy: BucketPolicy, megapixels: number): Promise<BucketCharge> {
    const { kv } = this.ctx.storage;
    const now = Date.now();
    const before = kv.get<StoredBucket>(BUCKET);
    const { state, charge } = spend(before, policy, megapixels, now);
    if (!charge.allowed) return charge;
    const fullAt = now + charge.resetSeconds * 1000;
    kv.put<StoredBucket>(BUCKET, { ...state, fullAt });
    if (before === undefined) await this.ctx.storage.setAlarm(fullAt);
    return charge;
  }

  /** Leaves nothing of an account that does not come back. */
  override async alarm(): Promise<void> {
    const fullAt = this.ctx.storage.kv.get<StoredBucket>(BUCKET)?.fullAt ?? 0;
    if (fullAt > Date.now()) await this.ctx.storage.setAlarm(fullAt);
    else await this.ctx.storage.deleteAll();
  }
}
