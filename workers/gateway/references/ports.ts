/** What sharing results and erasing them need from the world. `store/` and `references/` implement these. */
import type { ImageHeader } from '@deblur/shared/image-header/index.ts';
import type { CacheStatus, JobRequest } from '../jobs/ports.ts';

// ---- Where results come from, and who holds them -----------------------------------------------

/** How a result was made: enough to make a sibling of it in another format. */
export interface ResultOrigin {
  readonly request: JobRequest;
  readonly header: Pick<ImageHeader, 'format' | 'width' | 'height' | 'bitDepth' | 'cmyk'>;
}

export interface ResultOrigins {
  /** `erased`: there was one, and its last holder erased it. Null for a result from before this was written, and for none. */
  find(resultKey: string): Promise<ResultOrigin | 'erased' | null>;
}

/**
 * Which tenants hold which results. A result stays until its retention has passed or the last of its holders has let go.
 */
export interface References {
  /**
   * The tenant is about to obtain a result: asked before the store is, so that what is found there stays.
   * @returns whether it has asked for this restoration before, in whatever format
   */
  acquire(tenantId: string, origin: ResultOrigin): Promise<{ readonly own: boolean }>;
  /**
   * A sibling made on demand belongs to whoever holds the result that was asked for, and goes with it.
   * @returns false when nobody holds that
   */
  derive(resultKey: string, sibling: ResultOrigin): Promise<boolean>;
  /**
   * Lets go; with the last holder the bytes go too, and the caches are purged.
   * @param tenantId null: for all of them
   * @returns null when there was nothing to let go
   */
  release(tenantId: string | null, origin: ResultOrigin): Promise<Released | null>;
  /** Bytes have come in for what may have been erased meanwhile: they go again, unless somebody holds it. */
  eraseLate(resultKey: string, restorationKey: string): Promise<void>;
}

/**
 * What a tenant is told of the cost of its result.
 * @param tells whether it has asked for the restoration before, or may know that others have
 */
export const toldCache = (cost: CacheStatus, tells: boolean): CacheStatus => (tells ? cost : 'miss');

export interface Released {
  /** The results, siblings included, that nobody holds any more. */
  readonly erased: readonly string[];
}
