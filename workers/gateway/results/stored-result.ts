/** What is known of a stored picture: its metadata, as the bucket keeps it beside the bytes. */
import { METADATA_MODES, modelNameSchema, type ModelName } from '@deblur/shared/protocol/options.ts';
import { z } from 'zod';

/** Where a restoration runs. */
export type Placement = 'edge' | 'runner';

/** A placement in a stored record; records of version 0.1.0 say `gpu` for `runner`. */
export const storedPlacementSchema = z
  .enum(['edge', 'runner', 'gpu'])
  .transform((placement): Placement => (placement === 'gpu' ? 'runner' : placement));

/** Parses JSON that this gateway stored, in this version or in 0.1.0. */
export function parseStored<T>(text: string): T {
  const current = (key: string, value: unknown): unknown =>
    /placement$/i.test(key) && value === 'gpu' ? 'runner' : value;
  return JSON.parse(text, current) as T;
}

/** Which of the two kinds of stored pictures: encoded bytes by ResultKey, lossless masters by RestorationKey. */
export type ResultKind = 'result' | 'master';

/** The restoration that a picture is of: enough to encode it anew and to erase all of it. */
export const restorationFactsSchema = z.object({
  /** Whose it is. */
  scope: z.string(),
  restorationKey: z.string(),
  sourceKey: z.string(),
  /** Of the source, as its file stores the pixels: an upright picture may have them the other way round. */
  width: z.int(),
  height: z.int(),
  bitDepth: z.literal([8, 16]),
  /** How a result is encoded; a master is a PNG with all metadata. */
  quality: z.int(),
  metadata: z.enum(METADATA_MODES),
});

export type RestorationFacts = z.infer<typeof restorationFactsSchema>;

export interface ResultMetadata {
  readonly model: ModelName;
  readonly modelVersion: string;
  readonly placement: Placement;
  /** Null for pictures of version 0.1.0, which belong to no scope. */
  readonly restoration: RestorationFacts | null;
}

export const resultMetadataSchema = z.object({
  model: modelNameSchema,
  modelVersion: z.string(),
  placement: storedPlacementSchema,
  restoration: restorationFactsSchema.nullable().default(null),
});

export interface StoredResult extends ResultMetadata {
  readonly kind: 'stored';
  readonly key: string;
  readonly size: number;
  readonly contentType: string;
  /** SHA-256 of the bytes. */
  readonly sha256: Uint8Array;
  readonly storedAt: Date;
}

/** A tombstone: the picture was erased, and what comes in late for its key is refused. */
export interface ErasedResult {
  readonly kind: 'erased';
  readonly scope: string;
  /** Of this erasure; a later one has another. */
  readonly version: string;
}

/** First and last byte, both included. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

// ---- In the bucket -----------------------------------------------------------------------------

const ERASED_SCOPE = 'erased_scope';

const bucketSchema = z.object({
  model: modelNameSchema,
  model_version: z.string(),
  placement: storedPlacementSchema,
  restoration: z
    .string()
    .transform((json) => restorationFactsSchema.parse(JSON.parse(json)))
    .optional(),
});

export function toBucketMetadata({ model, modelVersion, placement, restoration }: ResultMetadata) {
  const facts = restoration === null ? {} : { restoration: JSON.stringify(restoration) };
  return { model, model_version: modelVersion, placement, ...facts } satisfies z.input<typeof bucketSchema>;
}

export const tombstoneMetadata = (scope: string) => ({ [ERASED_SCOPE]: scope });

export const isTombstone = ({ customMetadata }: R2Object): boolean => customMetadata?.[ERASED_SCOPE] !== undefined;

/** Null for an object that is no picture of ours. */
export function describeObject(key: string, object: R2Object): StoredResult | ErasedResult | null {
  const scope = object.customMetadata?.[ERASED_SCOPE];
  if (scope !== undefined) return { kind: 'erased', scope, version: object.version };
  const parsed = bucketSchema.safeParse(object.customMetadata);
  const { sha256 } = object.checksums;
  if (!parsed.success || sha256 === undefined) return null;
  const { model, model_version: modelVersion, placement, restoration = null } = parsed.data;
  return {
    kind: 'stored',
    key,
    size: object.size,
    contentType: object.httpMetadata?.contentType ?? 'application/octet-stream',
    sha256: new Uint8Array(sha256),
    storedAt: object.uploaded,
    model,
    modelVersion,
    placement,
    restoration,
  };
}
