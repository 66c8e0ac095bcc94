/**
 * What the gateway and the two runners say to each other. The edge runner is called by RPC over a service binding, the
 * GPU runner by Cog's HTTP predictions, so that the same container works self-hosted, on Kubernetes and behind Replicate.
 */
import { z } from 'zod';
import { HEX_SHA256 } from '../net/digest.ts';
import type { WireError } from './errors.ts';
import {
  MAX_TILE_PIXELS,
  MIN_TILE_PIXELS,
  RESULT_UPLOAD_MAX_BYTES,
  TILE_STEP_PIXELS,
  UPLOAD_PART_MIN_BYTES,
} from '../limits.ts';
import type { Change } from '../pixels/change.ts';
import { SCALES, type Scale } from '../pixels/working-scale.ts';
import {
  METADATA_MODES,
  modelNameSchema,
  OUTPUT_FORMATS,
  workingScaleSchema,
  type EncodeOptions,
  type ModelName,
  type WorkingScale,
} from './options.ts';

/** What was done, for metrics and response headers. Times in milliseconds, of the runner's own clock. */
export interface RestoreReport {
  readonly tiles: number;
  readonly width: number;
  readonly height: number;
  readonly decodeMs: number;
  /** From the first tile to the last, blending included. */
  readonly restoreMs: number;
  /** Sum over the tiles of the time inside the session's run. */
  readonly inferMs: number;
  /** From the last tile to the files. */
  readonly encodeMs: number;
  /** The picture was restored at 1/scale of its size; a runner of an older release does not say. */
  readonly scale?: Scale | undefined;
  /** Pixels that the network restored. */
  readonly restoredPixels?: number | undefined;
  readonly change?: Change | undefined;
}

export const restoreReportSchema: z.ZodType<RestoreReport> = z.object({
  tiles: z.int(),
  width: z.int(),
  height: z.int(),
  decodeMs: z.number(),
  restoreMs: z.number(),
  inferMs: z.number(),
  encodeMs: z.number(),
  scale: z.literal(SCALES).optional(),
  restoredPixels: z.int().optional(),
  change: z.object({ mean: z.number(), max: z.number(), sharpness: z.number() }).optional(),
});

// ---- Edge: RPC ---------------------------------------------------------------------------------

export interface EdgeRestoreRequest {
  readonly source: Uint8Array;
  readonly model: ModelName;
  readonly modelVersion: string;
  readonly encoding: EncodeOptions;
  /** `auto` when it is missing: a gateway of an older release names none. */
  readonly workingScale?: WorkingScale | undefined;
}

/** Exceptions lose their class over RPC, so failures travel as values. */
export type EdgeReply<T> = ({ readonly ok: true } & T) | { readonly ok: false; readonly error: WireError };

export type EdgeRestoreReply = EdgeReply<{
  /** Lossless PNG with the source's metadata. Every other encoding is made from it. */
  readonly master: Uint8Array;
  readonly result: Uint8Array;
  readonly report: RestoreReport;
}>;

export type EdgeEncodeReply = EdgeReply<{ readonly result: Uint8Array }>;

/** The edge runner's RPC methods. */
export interface EdgeRunnerApi {
  restore(request: EdgeRestoreRequest): Promise<EdgeRestoreReply>;
  /** Encodes a master in another format: no inference. */
  encode(request: { readonly master: Uint8Array; readonly encoding: EncodeOptions }): Promise<EdgeEncodeReply>;
  /** Ready once the session is created; the first call creates it. */
  health(): Promise<{ readonly status: 'READY' | 'SETUP_FAILED'; readonly detail?: string }>;
}

// ---- GPU: Cog predictions ----------------------------------------------------------------------

/** A model that a runner serves, as its health check says. */
export const servedModelSchema = z.object({
  name: modelNameSchema,
  version: z.string(),
  /** As measured when the runner started; null where it was not. */
  seconds_per_megapixel: z.number().positive().nullable(),
});

export type ServedModel = z.output<typeof servedModelSchema>;

/**
 * The part of `GET /health-check` that the gateway reads. Cog's own runners and Replicate say nothing of models, and Replicate
 * nothing of a state.
 */
export const runnerHealthSchema = z.object({
  status: z.string().max(40).default('READY'),
  setup: z
    .object({ models: z.array(servedModelSchema).max(100).catch([]) })
    .optional()
    .catch(undefined),
});

/** `input` of a prediction on the GPU runner. */
export const gpuInputSchema = z.strictObject({
  /** `restore`: blurred in, restored out. `encode`: a master in, the same pixels in another format out. */
  operation: z.enum(['restore', 'encode']).default('restore'),
  /** https URL (http for allowed origins) or data URI. */
  image: z.string().min(1),
  model: modelNameSchema.optional(),
  /** When given, it must be the version that the runner has. */
  model_version: z.string().optional(),
  format: z.enum(OUTPUT_FORMATS).optional(),
  quality: z.int().min(1).max(100).optional(),
  metadata: z.enum(METADATA_MODES).optional(),
  working_scale: workingScaleSchema.optional(),
  tile: z.int().min(MIN_TILE_PIXELS).max(MAX_TILE_PIXELS).multipleOf(TILE_STEP_PIXELS).optional(),
  /** Internal URLs that take the files by PUT. Without them the output is a data URI. */
  master_upload_url: z.url().optional(),
  result_upload_url: z.url().optional(),
  /** Both take a file above this in parts of so many bytes, as below. Without it, one PUT whatever the size. */
  upload_part_bytes: z.int().min(UPLOAD_PART_MIN_BYTES).max(RESULT_UPLOAD_MAX_BYTES).optional(),
});

export type GpuInput = z.input<typeof gpuInputSchema>;

/** `output` of a prediction whose files were uploaded. */
export const gpuOutputSchema = z.object({
  model: modelNameSchema.optional(),
  model_version: z.string().optional(),
  report: restoreReportSchema,
});

/**
 * The end of an upload in parts, which has the shape of S3's (CreateMultipartUpload and so on) with JSON for XML:
 *
 *   POST {upload URL}, Content-Type: the file's   201, Location: the upload
 *   PUT {upload}&partNumber={1, 2, …}             200, ETag: what this part is called below
 *   POST {upload}, this as JSON                   204 once the file is there whole
 *   DELETE {upload}                               204
 *
 * Each may be repeated.
 */
export const uploadCompletionSchema = z.strictObject({
  /** Of the whole file. */
  sha256: z.string().regex(HEX_SHA256),
  /** Of the parts from the first to the last. */
  etags: z.array(z.string().min(1).max(1024)).min(1),
});

export type UploadCompletion = z.output<typeof uploadCompletionSchema>;

/**
 * A Cog prediction's error is one string. We write `code: detail`, so that a caller that knows us gets the code back.
 */
export function formatGpuError(error: WireError): string {
  return `${error.code}: ${error.detail}`;
}
