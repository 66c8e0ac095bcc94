/** Files → the signed URLs that came with the job: by one PUT, or in parts to a receiver that takes them. */
import { uploadFailed } from '@deblur/shared/protocol/errors.ts';
import type { UploadCompletion } from '@deblur/shared/protocol/runner-api.ts';
import { deliver, UndeliveredError, type AnswerHeaders } from './delivery.ts';
import type { HttpClient, HttpRequest } from './http-client.ts';
import {
  UPLOAD_ABORT_TIMEOUT_MS,
  UPLOAD_ANSWER_TIMEOUT_MS,
  UPLOAD_ATTEMPTS,
  UPLOAD_BACKOFF_MS,
  UPLOAD_MIN_BYTES_PER_MS,
  UPLOAD_PARTS_AT_ONCE,
  UPLOAD_TIMED_OUT_ATTEMPTS,
  UPLOAD_UNREACHED_ATTEMPTS,
} from '../limits.ts';
import { sha256 } from './sha256.ts';

export interface Upload {
  readonly url: string;
  readonly bytes: Uint8Array;
  readonly mediaType: string;
  /** Of the caller's trace. */
  readonly headers?: Readonly<Record<string, string>>;
  /** What is larger goes in parts of so many bytes. */
  readonly partBytes?: number | undefined;
}

const RETRY = {
  attempts: UPLOAD_ATTEMPTS,
  unreachedAttempts: UPLOAD_UNREACHED_ATTEMPTS,
  timedOutAttempts: UPLOAD_TIMED_OUT_ATTEMPTS,
  backoffMs: UPLOAD_BACKOFF_MS,
  maxBackoffMs: Infinity,
};

const ONCE = { attempts: 1, backoffMs: 0, maxBackoffMs: 0, timeoutMs: UPLOAD_ABORT_TIMEOUT_MS };

/**
 * Uploads a file with its digest. The receiver stores content under one name, so that trying again does no harm.
 * @throws {DeblurError} `runner_failed` when the receiver cannot be reached or refuses; `forbidden`, see checkUrl
 * @throws the signal's reason
 */
export async function upload(file: Upload, http: HttpClient, signal: AbortSignal): Promise<void> {
  const { bytes, headers = {}, partBytes = Infinity } = file;
  const send: Send = (url, request, until) => {
    const described = { ...request, headers: { ...headers, ...request.headers } };
    const timeoutMs = UPLOAD_ANSWER_TIMEOUT_MS + Math.ceil((request.body?.length ?? 0) / UPLOAD_MIN_BYTES_PER_MS);
    return deliver(url, async () => described, http, { ...RETRY, timeoutMs }, until);
  };
  const abandon = (url: string): Promise<unknown> =>
    deliver(url, async () => ({ method: 'DELETE', headers }), http, ONCE, new AbortController().signal);
  try {
    await (bytes.length > partBytes ? inParts(file, partBytes, { send, abandon }, signal) : whole(file, send, signal));
  } catch (error) {
    if (!(error instanceof UndeliveredError)) throw error;
    throw uploadFailed(error.message);
  }
}

type Send = (url: string, request: Omit<HttpRequest, 'signal'>, signal: AbortSignal) => Promise<AnswerHeaders>;

interface Ways {
  readonly send: Send;
  readonly abandon: (url: string) => Promise<unknown>;
}

/** By PUT with its `Content-Digest` (RFC 9530). */
async function whole({ url, bytes, mediaType }: Upload, send: Send, signal: AbortSignal): Promise<void> {
  const digest = `sha-256=:${await sha256(bytes, 'base64')}:`;
  await send(
    url,
    { method: 'PUT', headers: { 'content-type': mediaType, 'content-digest': digest }, body: bytes },
    signal,
  );
}

/** As uploadCompletionSchema describes it; what is not completed is abandoned. */
async function inParts(
  { url, bytes, mediaType }: Upload,
  partBytes: number,
  { send, abandon }: Ways,
  signal: AbortSignal,
): Promise<void> {
  const begun = await send(url, { method: 'POST', headers: { 'content-type': mediaType } }, signal);
  const uploadUrl = URL.parse(theOne(begun, 'location'), url)?.href ?? noParts('location');
  const putPart = async (part: number, until: AbortSignal): Promise<string> => {
    const partUrl = new URL(uploadUrl);
    partUrl.searchParams.set('partNumber', String(part + 1));
    // A view: a copy of each would double the file.
    const body = bytes.subarray(part * partBytes, (part + 1) * partBytes);
    return theOne(await send(partUrl.href, { method: 'PUT', body }, until), 'etag');
  };
  try {
    const etags = await putParts(Math.ceil(bytes.length / partBytes), putPart, signal);
    const completion: UploadCompletion = { sha256: await sha256(bytes, 'hex'), etags };
    const headers = { 'content-type': 'application/json' };
    await send(uploadUrl, { method: 'POST', headers, body: JSON.stringify(completion) }, signal);
  } catch (error) {
    // The receiver drops by itself, later, what it is not told of.
    await abandon(uploadUrl).catch(() => undefined);
    throw error;
  }
}

/**
 * UPLOAD_PARTS_AT_ONCE at a time. Settles when none is under way any more: after a failure the others are stopped.
 * @returns their ETags, in order
 * @throws the first failure
 */
async function putParts(
  count: number,
  putPart: (part: number, signal: AbortSignal) => Promise<string>,
  signal: AbortSignal,
): Promise<string[]> {
  const failed = new AbortController();
  const until = AbortSignal.any([signal, failed.signal]);
  const etags: string[] = [];
  let next = 0;
  const oneByOne = async (): Promise<void> => {
    try {
      for (let part = next++; part < count; part = next++) etags[part] = await putPart(part, until);
    } catch (error) {
      failed.abort(error);
    }
  };
  await Promise.all(Array.from({ length: UPLOAD_PARTS_AT_ONCE }, oneByOne));
  failed.signal.throwIfAborted();
  return etags;
}

function theOne(headers: AnswerHeaders, name: 'location' | 'etag'): string {
  const value = headers[name];
  return typeof value === 'string' ? value : noParts(name);
}

/** A receiver that was said to take parts, and does not. */
function noParts(missing: string): never {
  throw uploadFailed(`its receiver answered without ${missing}`);
}
