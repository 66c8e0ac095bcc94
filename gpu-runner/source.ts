/** A prediction's `image` → the bytes of the file. */
import type { Readable } from 'node:stream';
import { DeblurError } from '@deblur/shared/errors.ts';
import { concat } from '@deblur/shared/metadata/bytes.ts';
import type { HttpClient } from './http-client.ts';
import { MAX_REDIRECTS, SOURCE_MAX_BYTES, TRANSFER_TIMEOUT_MS } from './limits.ts';

const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];

/**
 * @param image https URL (http for allowed origins) or a base64 data URI
 * @returns the file in a buffer of its own
 * @throws {DeblurError} `malformed_request`, `forbidden`, `body_too_large`, `source_fetch_failed`
 * @throws the signal's reason
 */
export async function readSource(image: string, http: HttpClient, signal: AbortSignal): Promise<Uint8Array> {
  return /^data:/i.test(image) ? decodeDataUri(image) : download(image, http, signal);
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

async function download(url: string, http: HttpClient, signal: AbortSignal): Promise<Uint8Array> {
  const timeout = AbortSignal.timeout(TRANSFER_TIMEOUT_MS);
  try {
    return await follow(url, http, AbortSignal.any([signal, timeout]));
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof DeblurError) throw cause;
    const detail = timeout.aborted ? 'The source took too long.' : 'The source could not be reached.';
    throw new DeblurError('source_fetch_failed', detail, { cause });
  }
}

async function follow(url: string, http: HttpClient, signal: AbortSignal): Promise<Uint8Array> {
  let next = url;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    // Unasked compression would be a second way to make much out of little.
    const { statusCode, headers, body } = await http.request(next, {
      method: 'GET',
      headers: { accept: 'image/*', 'accept-encoding': 'identity' },
      signal,
    });
    const location = headers['location'];
    if (!REDIRECTS.includes(statusCode) || typeof location !== 'string') {
      if (statusCode === 200) return collect(body, headers['content-length']);
      discard(body);
      throw new DeblurError('source_fetch_failed', `The source answered with status ${statusCode}.`);
    }
    discard(body);
    if (!URL.canParse(location, next)) break;
    next = new URL(location, next).href;
  }
  throw new DeblurError('source_fetch_failed', `The source does not arrive within ${MAX_REDIRECTS} redirects.`);
}

/** Ends a body that nobody reads: undici then emits an error, and one without a listener would end the process. */
function discard(body: Readable): void {
  body.on('error', () => undefined);
  body.destroy();
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
