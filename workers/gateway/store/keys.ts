/**
 * Every key in the R2 bucket.
 *
 *   sources/{sha256}         an upload, or (empty, with `object` in its metadata) a record of where it lies
 *   uploads/{uuid}           an upload that was streamed in before its digest was known
 *   masters/{restorationKey} the lossless PNG of one inference
 *   results/{resultKey}      encoded bytes
 *
 * Lifecycle rules of the bucket delete `sources/` and `uploads/` after SOURCE_RETENTION_SECONDS, `masters/` and `results/`
 * after RESULT_RETENTION_SECONDS, and unfinished multipart uploads after a day.
 */
import type { ResultKind } from '../predict/ports.ts';

export const sourceKey = (digest: string): string => `sources/${digest}`;

export const newUploadKey = (): string => `uploads/${crypto.randomUUID()}`;

export const resultObjectKey = (kind: ResultKind, key: string): string =>
  kind === 'master' ? `masters/${key}` : `results/${key}`;
