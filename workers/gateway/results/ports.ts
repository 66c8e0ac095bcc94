/** Stored pictures: masters and results. */
import type { ModelName } from '@deblur/shared/protocol/options.ts';
import { z } from 'zod';
import type { StoredBody } from '../sources/ports.ts';
import type { ResultParts } from './multipart.ts';

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

/** What is known of a stored result or master. */
export interface ResultMetadata {
  readonly model: ModelName;
  readonly modelVersion: string;
  readonly placement: Placement;
}

export interface StoredResult extends ResultMetadata {
  readonly key: string;
  readonly size: number;
  readonly contentType: string;
  /** SHA-256 of the bytes. */
  readonly sha256: Uint8Array;
  readonly storedAt: Date;
}

/** First and last byte, both included. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/** Which of the two kinds of stored pictures: encoded bytes by ResultKey, lossless masters by RestorationKey. */
export type ResultKind = 'result' | 'master';

export interface ResultStore extends ResultParts {
  /** Null when it is unknown or its retention has passed. */
  head(kind: ResultKind, key: string): Promise<StoredResult | null>;
  get(kind: ResultKind, key: string, range?: ByteRange): Promise<(StoredResult & StoredBody) | null>;
  /** Stores unless the key is taken: equal keys mean equal bytes, so the first stays. */
  put(kind: ResultKind, key: string, bytes: Uint8Array, contentType: string, metadata: ResultMetadata): Promise<void>;
  /**
   * The same from a stream of known length.
   * @param sha256 of the bytes; another one is refused
   * @throws {DeblurError} `malformed_request` when the bytes are not what was announced
   */
  putStream(kind: ResultKind, key: string, upload: ResultUpload, metadata: ResultMetadata): Promise<void>;
  /** Frees the key; caches may still have the bytes. */
  delete(kind: ResultKind, key: string): Promise<void>;
}

export interface ResultUpload {
  readonly body: ReadableStream<Uint8Array>;
  readonly contentType: string;
  readonly sha256: Uint8Array;
}
