/** The service's resources as they stand in JSON: Replicate's prediction, in its snake_case. */

export type PredictionStatus = 'starting' | 'processing' | 'succeeded' | 'failed' | 'canceled';

/** Seconds, unless the name says otherwise. A measurement that was not made is absent. */
export interface PredictionMetrics {
  readonly predict_time?: number | undefined;
  readonly total_time?: number | undefined;
  readonly queue_time?: number | undefined;
  readonly tiles?: number | undefined;
  readonly megapixels?: number | undefined;
  /** Megapixels that the network ran on; below `megapixels` where the picture was restored at a smaller scale. */
  readonly restored_megapixels?: number | undefined;
  /** The picture was restored at 1/scale. */
  readonly scale?: number | undefined;
  readonly change?: { readonly mean: number; readonly max: number; readonly sharpness: number } | undefined;
  readonly outcome?: Open<'restored' | 'already_sharp' | 'beyond_model'> | undefined;
  readonly placement?: Open<'edge' | 'runner'> | undefined;
  readonly cache?: Open<'hit' | 'miss' | 'coalesced'> | undefined;
}

/** Tiles of the picture. */
export interface Progress {
  readonly done: number;
  readonly total: number;
}

export interface Prediction {
  readonly id: string;
  /** `owner/name` of the model that runs. */
  readonly model: string;
  readonly version: string;
  readonly status: PredictionStatus;
  readonly input: Readonly<Record<string, string | number>>;
  /** The address of the restored picture. */
  readonly output: string | null;
  /** `code: detail` of a prediction that failed. */
  readonly error: string | null;
  readonly logs: string;
  readonly metrics: PredictionMetrics;
  readonly progress: Progress | null;
  readonly urls: {
    readonly get: string;
    readonly cancel: string;
    readonly stream?: string | undefined;
    readonly events?: string | undefined;
    readonly result?: string | null | undefined;
  };
  readonly created_at: string;
  readonly started_at: string | null;
  readonly completed_at: string | null;
  readonly webhook: string | null;
  readonly webhook_events_filter: readonly WebhookEventName[] | null;
  /** The retention has passed: `input`, `output` and `logs` are gone. */
  readonly data_removed: boolean;
}

export type WebhookEventName = 'start' | 'output' | 'logs' | 'completed';

/** One event of a prediction's stream. Each carries the whole prediction as it was then. */
export interface PredictionEvent {
  readonly event: 'start' | 'progress' | 'completed';
  readonly prediction: Prediction;
}

/** A picture that was uploaded once and may be named by many predictions. */
export interface StoredFile {
  readonly id: string;
  readonly name: string;
  readonly content_type: string;
  /** Bytes. */
  readonly size: number;
  readonly checksums: { readonly sha256: string };
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly created_at: string;
  readonly expires_at: string;
  readonly urls: { readonly get: string };
}

/** How a picture is restored and written. The service's own defaults hold for what is left out. */
export interface RestoreOptions {
  /** `auto`, `best`, or a model's name. */
  readonly model?: Open<'auto' | 'best' | 'dhnet-edge' | 'dhnet' | 'dhnet-b'>;
  /** The picture is restored at 1/n and the change is enlarged; `auto` takes the scale of the blur. */
  readonly workingScale?: 'auto' | 1 | 2 | 3 | 4;
  /** 0 to 1: how much of the change is applied. */
  readonly strength?: number;
  /** `auto` is the format of the picture that came. */
  readonly format?: 'auto' | 'jpeg' | 'png' | 'webp' | 'avif';
  /** 1 to 100, for JPEG, WebP and AVIF. */
  readonly quality?: number;
  /** `keep`: EXIF, ICC profile and XMP stay. `strip`: EXIF and XMP go. */
  readonly metadata?: 'keep' | 'strip';
  /** Side of the tiles in pixels, on the runner only. */
  readonly tile?: number;
  /** Restores on the runner what the edge would take. */
  readonly placement?: 'runner';
}

/** These names, and those that a newer service may add. */
export type Open<Name extends string> = Name | (string & Record<never, never>);
