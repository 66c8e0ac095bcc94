/** What the page and the worker say to each other. Plain data: it is cloned on the way. */
import type { MetadataMode, OutputFormat } from '@deblur/shared/protocol/options.ts';
import type { Activity, Change, DeviceNote, Failure } from '../app/item.ts';

export interface DeviceRequest {
  readonly file: Blob;
  readonly format: 'auto' | OutputFormat;
  readonly metadata: MetadataMode;
  /** Take WebGPU even on a software adapter: for tests, which have no other. */
  readonly forceWebGpu: boolean;
}

export interface DeviceResult {
  readonly kind: 'restored';
  readonly picture: Blob;
  readonly model: string;
  readonly engine: string;
  readonly scale: number;
  readonly change: Change;
  readonly notes: readonly DeviceNote[];
}

export type DeviceReply =
  | DeviceResult
  | { readonly kind: 'activity'; readonly activity: Activity }
  | { readonly kind: 'failed'; readonly failure: Failure };
