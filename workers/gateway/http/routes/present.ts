/** Results and reports as response headers. */
import { IMMUTABLE_MAX_AGE_SECONDS, RESULT_RETENTION_SECONDS } from '@deblur/shared/limits.ts';
import type { RestoreReport } from '@deblur/shared/protocol/runner-api.ts';
import type { Deblurred } from '../../restorations/deblur.ts';
import type { StoredResult } from '../../results/stored-result.ts';

export const resultPath = (key: string): string => `/v1/results/${key}`;

/** Headers of the answer of `POST /v1/deblur`. */
export function deblurHeaders({ result, cache, job }: Deblurred, timing: string): Record<string, string> {
  return {
    'Content-Type': result.contentType,
    'Content-Length': String(result.size),
    'Content-Digest': contentDigest(result.sha256),
    'Cache-Control': 'no-store',
    Link: `<${resultPath(result.key)}>; rel="canonical"`,
    'Server-Timing': timing,
    'X-Model': `${result.model}@${result.modelVersion.slice(0, 12)}`,
    'X-Placement': result.placement,
    'X-Cache': cache,
    ...inferenceHeaders(job?.restore),
  };
}

/** What the inference of this answer did; a stored result has none. */
function inferenceHeaders({ scale, change }: Partial<RestoreReport> = {}): Record<string, string> {
  return {
    ...(scale === undefined ? {} : { 'X-Scale': String(scale) }),
    ...(change === undefined
      ? {}
      : { 'X-Change': `mean=${change.mean}, max=${change.max}, sharpness=${change.sharpness}` }),
  };
}

export interface Timing {
  readonly receiveMs: number;
  readonly totalMs: number;
}

/** Where the time went (W3C Server Timing), milliseconds. Workers' clocks stand still while they compute. */
export function serverTiming({ lookupMs, job }: Deblurred, { receiveMs, totalMs }: Timing): string {
  const { queueMs, runMs, restore } = job ?? {};
  const spans: readonly (readonly [name: string, ms: number | undefined])[] = [
    ['hash', receiveMs],
    ['lookup', lookupMs],
    ['queue', queueMs],
    ['run', runMs],
    ['decode', restore?.decodeMs],
    ['restore', restore?.restoreMs],
    ['infer', restore?.inferMs],
    // Without an inference, what ran was the encoding of a stored master.
    ['encode', restore === undefined ? runMs : restore.encodeMs],
    ['total', totalMs],
  ];
  return spans
    .flatMap(([name, ms]) => (ms === undefined ? [] : [`${name};dur=${Math.round(ms * 10) / 10}`]))
    .join(', ');
}

/** Headers of one immutable representation, the same for all of it, a part of it and none of it. */
export function resultHeaders(result: StoredResult, now: number): Record<string, string> {
  const remaining = RESULT_RETENTION_SECONDS - Math.floor((now - result.storedAt.getTime()) / 1000);
  const maxAge = Math.max(0, Math.min(IMMUTABLE_MAX_AGE_SECONDS, remaining));
  return {
    ETag: etagOf(result.key),
    'Cache-Control': `public, max-age=${maxAge}, immutable`,
    'Cache-Tag': `result-${result.key}`,
    'Accept-Ranges': 'bytes',
    Vary: 'Accept',
    'Content-Type': result.contentType,
    // Of the whole representation, also beside a part of it: RFC 9530 calls that Repr-Digest.
    'Repr-Digest': contentDigest(result.sha256),
    'Content-Security-Policy': "default-src 'none'; sandbox",
    'Cross-Origin-Resource-Policy': 'cross-origin',
    'X-Model': `${result.model}@${result.modelVersion.slice(0, 12)}`,
    'X-Placement': result.placement,
  };
}

/** Bytes under a key never change, so the key is the strongest validator that there is. */
export const etagOf = (key: string): string => `"${key}"`;

/** RFC 9530, of the content of this very message. */
export const contentDigest = (sha256: Uint8Array): string => `sha-256=:${sha256.toBase64()}:`;
