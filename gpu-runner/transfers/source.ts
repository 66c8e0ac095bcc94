/** A prediction's `image` → the bytes of the file. */
import type { Readable } from 'node:stream';
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import { concat } from '@deblur/shared/metadata/bytes.ts';
import type { HttpClient } from './http-client.ts';
import { SOURCE_MAX_BYTES, TRANSFER_TIMEOUT_MS } from '../limits.ts';
import { discard, getFollowing } from './redirects.ts';

/**
 * @param image https URL (http for allowed origins) or a base64 data URI
 * @returns the file in a buffer of its own
 * @throws {DeblurError} `malformed_request`, `forbidden`, `body_too_large`, `source_fetch_failed`
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
    throw new DeblurError('malformed_request', 'The data URI is not base64.');
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
    throw new DeblurError('source_fetch_failed', `The source answered with status ${statusCode}.`);
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof DeblurError) throw cause;
    const detail = timeout.aborted ? 'The source took too long.' : 'The source could not be reached.';
    throw new DeblurError('source_fetch_failed', detail, { cause });
  }
}

async function collect(body: Readable, contentLength: string | string[] | undefined): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const assertFits = (bytes: number): void => {
    if (bytes <= SOURCE_MAX_BYTES) return;
    discard(body);
    throw new DeblurError('body_too_large', `The source has more than ${SOURCE_MAX_BYTES} bytes.`);
  };
  assertFits(Number(contentLength ?? 0));
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    assertFits(length);
    chunks.push(chunk);
  }
  return concat(chunks);
}
