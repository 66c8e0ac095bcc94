/** What the session pool and its threads say to each other. */
import type { ModelVariant } from '@deblur/shared/model-manifest.ts';
import type { Tile } from '@deblur/shared/ports.ts';

/** Execution providers of ONNX Runtime that this runner uses. */
export type ExecutionProvider = 'cuda' | 'cpu';

export interface LoadRequest {
  readonly kind: 'load';
  readonly path: string;
  readonly variant: ModelVariant;
  readonly provider: ExecutionProvider;
  readonly intraOpThreads: number;
  /** Side in pixels of the tile that is run once at load, so that the first request does not pay for it. */
  readonly warmUpSize: number;
}

export interface RunRequest {
  readonly kind: 'run';
  readonly tile: Tile;
}

export type SessionRequest = LoadRequest | RunRequest;

export type SessionReply =
  | { readonly kind: 'loaded' }
  /** `inferMs`: time inside the session's run. */
  | { readonly kind: 'ran'; readonly tile: Tile; readonly inferMs: number };
