/**
 * Every key in the R2 bucket.
 *
 *   sources/{sourceKey}      an upload, or (empty, with `object` in its metadata) a record of where it lies
 *   uploads/{uuid}           an upload that was streamed in before its digest was known
 *   uploads/{sha256}         a master or result that comes in parts, by its internal URL's token, until it is whole
 *   masters/{restorationKey} the lossless PNG of one inference
 *   results/{resultKey}      encoded bytes
 *                            (a master or result that was erased: empty, with `erased_scope` in its metadata)
 *   links/{sha256 of a URL}  what lies at a source's address, as JSON
 *
 * Lifecycle rules of the bucket delete what is older than RETENTION says, and unfinished multipart uploads after a day.
 */
import { RESULT_RETENTION_SECONDS, SOURCE_RETENTION_SECONDS } from '@deblur/shared/limits.ts';
import type { ResultKind } from './results/stored-result.ts';

/** The bucket's lifecycle rules, as `npm run deploy` sets them: what lies under a prefix goes after so many seconds. */
export const RETENTION: Readonly<Record<string, number>> = {
  'sources/': SOURCE_RETENTION_SECONDS,
  'uploads/': SOURCE_RETENTION_SECONDS,
  'masters/': RESULT_RETENTION_SECONDS,
  'results/': RESULT_RETENTION_SECONDS,
  'links/': RESULT_RETENTION_SECONDS,
};

export const sourceObjectKey = (sourceKey: string): string => `sources/${sourceKey}`;

export const newUploadKey = (): string => `uploads/${crypto.randomUUID()}`;

export const partsKey = (name: string): string => `uploads/${name}`;

export const resultObjectKey = (kind: ResultKind, key: string): string =>
  kind === 'master' ? `masters/${key}` : `results/${key}`;

export const linkKey = (urlSha256: string): string => `links/${urlSha256}`;
