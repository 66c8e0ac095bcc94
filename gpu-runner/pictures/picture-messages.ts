/** What the restorer and its picture threads say to each other. */
import type { MessagePort } from 'node:worker_threads';
import type { EncodeOptions, OutputFormat, WorkingScale } from '@deblur/shared/protocol/options.ts';
import type { RestoreReport } from '@deblur/shared/protocol/runner-api.ts';
import type { TilingOptions } from '@deblur/shared/pixels/tiling.ts';
import type { SharedTile } from '../sessions/shared-tile.ts';

/** Without a format: the source's own, or PNG when that is not written. */
export type WantedEncoding = Pick<EncodeOptions, 'quality' | 'metadata'> & {
  readonly format: OutputFormat | undefined;
};

export interface PictureRequest {
  /** The whole file. It moves to the thread. */
  readonly source: Uint8Array;
  readonly encoding: WantedEncoding;
  readonly wantMaster: boolean;
  readonly wantResult: boolean;
  /** Whether this runner decodes HEIC. */
  readonly heicDecoding: boolean;
  /** Undefined: the picture is encoded anew, and no network runs. */
  readonly network: NetworkAccess | undefined;
}

export interface NetworkAccess {
  /** Takes TileCalls. */
  readonly port: MessagePort;
  readonly tiling: TilingOptions;
  readonly tilesInFlight: number;
  readonly workingScale: WorkingScale;
}

export interface PictureReply {
  readonly master: Uint8Array | undefined;
  readonly result: Uint8Array | undefined;
  readonly format: OutputFormat;
  readonly report: RestoreReport;
  /** Sum over the tiles of the time that they waited for a session. */
  readonly queueMs: number;
}

export interface TileCall {
  readonly tile: SharedTile;
  /** Tiles of the whole picture, for its progress. */
  readonly total: number;
}

/** Said when the tile's samples are what the network made of them. */
export interface TileReply {
  readonly inferMs: number;
  readonly queueMs: number;
}
