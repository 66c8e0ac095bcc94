/** Files → the signed URLs that came with the job. */
import { setTimeout as sleep } from 'node:timers/promises';
import { DeblurError } from '@deblur/shared/errors.ts';
import type { HttpClient } from './http-client.ts';
import { TRANSFER_TIMEOUT_MS, UPLOAD_ATTEMPTS, UPLOAD_BACKOFF_MS } from './limits.ts';

export interface Upload {
  readonly url: string;
  readonly bytes: Uint8Array;
  readonly mediaType: string;
}

/**
 * PUTs a file with its `Content-Digest` (RFC 9530). Tries again after network failures, 408, 429 and 5xx: the receiver
 * stores content under one name, so a repeated PUT does no harm.
 * @throws {DeblurError} `runner_failed` when the receiver cannot be reached or refuses; `forbidden`, see checkUrl
 * @throws the signal's reason
 */
export async function upload({ url, bytes, mediaType }: Upload, http: HttpClient, signal: AbortSignal): Promise<void> {
  const digest = await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>);
  const headers = {
    'content-type': mediaType,
    'content-digest': `sha-256=:${Buffer.from(digest).toString('base64')}:`,
  };
  let failure = 'it could not be reached';
  for (let attempt = 0; attempt < UPLOAD_ATTEMPTS; attempt++) {
    if (attempt > 0) await sleep(UPLOAD_BACKOFF_MS * 2 ** (attempt - 1), undefined, { signal });
    const status = await put(url, bytes, headers, http, signal);
    if (status !== undefined && status >= 200 && status < 300) return;
    if (status !== undefined) failure = `it answered with status ${status}`;
    if (status !== undefined && !isRetryable(status)) break;
  }
  throw new DeblurError('runner_failed', `The result was not taken by its receiver: ${failure}.`);
}

function isRetryable(status: number): boolean {
  return status === 408 || status === 429 || status >= 500;
}

/** @returns undefined when no answer came */
async function put(
  url: string,
  bytes: Uint8Array,
  headers: Readonly<Record<string, string>>,
  http: HttpClient,
  signal: AbortSignal,
): Promise<number | undefined> {
  const timed = AbortSignal.any([signal, AbortSignal.timeout(TRANSFER_TIMEOUT_MS)]);
  try {
    const { statusCode, body } = await http.request(url, { method: 'PUT', headers, body: bytes, signal: timed });
    await body.dump();
    return statusCode;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof DeblurError) throw error;
    return undefined;
  }
}
