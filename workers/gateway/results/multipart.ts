/** What an upload in parts needs from the world: for a result that is more than one request may carry. */
import type { ResultKind, ResultMetadata, ResultUpload } from './ports.ts';

/** One that has begun. */
export interface PartsUpload {
  /** A digest, under which the parts gather. */
  readonly name: string;
  readonly id: string;
}

/** What the parts are when they are joined. `etags` of the parts from the first to the last. */
export interface PartsResult extends Omit<ResultUpload, 'body'> {
  readonly kind: ResultKind;
  readonly key: string;
  readonly metadata: ResultMetadata;
  readonly etags: readonly string[];
}

export interface ResultParts {
  /** Begins an upload of parts that are all of one size, but for the last. What nobody ends or drops goes after a day. */
  beginParts(name: string): Promise<PartsUpload>;
  /**
   * Takes a part, in place of an earlier one of that number.
   * @returns its ETag
   * @throws {DeblurError} `not_found` when the upload is over
   */
  putPart(upload: PartsUpload, number: number, body: ReadableStream<Uint8Array>): Promise<string>;
  /**
   * Joins the parts and stores them as ResultStore.putStream does; twice is once.
   * @throws {DeblurError} `not_found`, and `malformed_request` when they are not what was announced or do not fit each other
   */
  completeParts(upload: PartsUpload, result: PartsResult): Promise<void>;
  /** Drops what has come; twice is once. */
  abortParts(upload: PartsUpload): Promise<void>;
}
