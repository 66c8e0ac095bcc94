/** A prediction's `image` → the bytes of the file. */
import type { Readable } from 'node:stream';
import {
  dataUriNotBase64,
  DeblurError,
  sourceHostFailed,
  sourceTimedOut,
  sourceTooLarge,
  sourceUnreachable,
} from '@deblur/shared/protocol/errors.ts';
import { RETRY_AFTER_SECONDS } from '@deblur/shared/limits.ts';
import { concat } from '@deblur/shared/metadata/bytes.ts';
import type { HttpClient } from './http-client.ts';
import { SOURCE_MAX_BYTES, TRANSFER_TIMEOUT_MS } from '../limits.ts';
import { discard, getFollowing } from './redirects.ts';

/**
 * @param image https URL (http for allowed origins) or a base64 data URI
 * @returns the file in a buffer of its own
 * @throws {DeblurError} `malformed_request`, `invalid_option`, `forbidden`, `source_not_found`, `body_too_large`, `source_fetch_failed`
 * @param headers of the caller's trace
 * @throws the signal's reason
 */
export async function readSource(
  image: string,
  http: HttpClient,
  signal: AbortSignal,
  headers: Readonly<Record<string, string>> = {},
): Promise<Uint8Array> {
  return /^data:/i.test(image) ? decodeDataUri(image) : download(image, http, signal, headers);
}

/** RFC 2397, base64 only: pictures are bytes. */
function decodeDataUri(uri: string): Uint8Array {
  const comma = uri.indexOf(',');
  const payload = uri.slice(comma + 1);
  if (comma < 0 || !/;\s*base64\s*$/i.test(uri.slice(0, comma)) || !/^[A-Za-z0-9+/]*={0,2}$/.test(payload)) {
    throw dataUriNotBase64('image');
  }
  return new Uint8Array(Buffer.from(payload, 'base64'));
}

async function download(
  url: string,
  http: HttpClient,
  signal: AbortSignal,
  headers: Readonly<Record<string, string>>,
): Promise<Uint8Array> {
  const timeout = AbortSignal.timeout(TRANSFER_TIMEOUT_MS);
  // Unasked compression would be a second way to make much out of little.
  const wanted = { ...headers, accept: 'image/*', 'accept-encoding': 'identity' };
  try {
    const timed = AbortSignal.any([signal, timeout]);
    const { statusCode, headers: described, body } = await getFollowing(url, http, wanted, timed);
    if (statusCode === 200) return await collect(body, described['content-length']);
    discard(body);
    throw sourceHostFailed(statusCode, RETRY_AFTER_SECONDS);
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof DeblurError) throw cause;
    if (timeout.aborted) throw sourceTimedOut(TRANSFER_TIMEOUT_MS / 1000, RETRY_AFTER_SECONDS);
    throw sourceUnreachable(RETRY_AFTER_SECONDS, cause);
  }
}

async function collect(body: Readable, contentLength: string | string[] | undefined): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const assertFits = (bytes: number): void => {
    if (bytes <= SOURCE_MAX_BYTES) return;
    discard(body);
    throw sourceTooLarge(SOURCE_MAX_BYTES);
  };
  assertFits(Number(contentLength ?? 0));
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    assertFits(length);
    chunks.push(chunk);
  }
  return concat(chunks);
}
