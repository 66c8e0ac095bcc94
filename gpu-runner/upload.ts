/** Files → the signed URLs that came with the job. */
import { DeblurError } from '@deblur/shared/errors.ts';
import { deliver, UndeliveredError } from './delivery.ts';
import type { HttpClient } from './http-client.ts';
import { TRANSFER_TIMEOUT_MS, UPLOAD_ATTEMPTS, UPLOAD_BACKOFF_MS, UPLOAD_UNANSWERED_ATTEMPTS } from './limits.ts';
import { sha256 } from './sha256.ts';

export interface Upload {
  readonly url: string;
  readonly bytes: Uint8Array;
  readonly mediaType: string;
  /** Of the caller's trace. */
  readonly headers?: Readonly<Record<string, string>>;
}

const RETRY = {
  attempts: UPLOAD_ATTEMPTS,
  unansweredAttempts: UPLOAD_UNANSWERED_ATTEMPTS,
  backoffMs: UPLOAD_BACKOFF_MS,
  maxBackoffMs: Infinity,
  timeoutMs: TRANSFER_TIMEOUT_MS,
};

/**
 * PUTs a file with its `Content-Digest` (RFC 9530). The receiver stores content under one name, so that trying again
 * does no harm.
 * @throws {DeblurError} `runner_failed` when the receiver cannot be reached or refuses; `forbidden`, see checkUrl
 * @throws the signal's reason
 */
export async function upload(
  { url, bytes, mediaType, headers = {} }: Upload,
  http: HttpClient,
  signal: AbortSignal,
): Promise<void> {
  const described = {
    ...headers,
    'content-type': mediaType,
    'content-digest': `sha-256=:${await sha256(bytes, 'base64')}:`,
  };
  try {
    await deliver(url, async () => ({ method: 'PUT', headers: described, body: bytes }), http, RETRY, signal);
  } catch (error) {
    if (!(error instanceof UndeliveredError)) throw error;
    throw new DeblurError('runner_failed', `The result was not taken by its receiver: ${error.message}.`);
  }
}
