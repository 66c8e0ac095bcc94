/** What the session pool and its threads say to each other. */
import type { ModelVariant } from '@deblur/shared/protocol/model-manifest.ts';
import type { ExecutionProvider } from '../config.ts';
import type { TileClaim } from './tile-claim.ts';
import type { SharedTile } from './shared-tile.ts';

export interface LoadRequest {
  readonly kind: 'load';
  readonly path: string;
  readonly variant: ModelVariant;
  readonly provider: ExecutionProvider;
  readonly intraOpThreads: number;
  /** Side in pixels of the tiles, and sizes of the batches, that are run once at load, so that no request pays for them. */
  readonly warmUp: { readonly side: number; readonly batches: readonly number[] };
}

export interface RunRequest {
  readonly kind: 'run';
  /** One batch: tiles of one shape and sample type. */
  readonly tiles: readonly SharedTile[];
  /** Is asked when the batch's turn has come. */
  readonly claim: TileClaim;
}

export type SessionRequest = LoadRequest | RunRequest;

export type SessionReply =
  | { readonly kind: 'loaded' }
  /** The batch was taken back before it began: its tiles are as they were. */
  | { readonly kind: 'revoked' }
  /** `inferMs`: time inside the session's run. */
  | { readonly kind: 'ran'; readonly inferMs: number };
