/** The runner's side: what its internal URLs let it read and write. */
import { sha256Hex } from '@deblur/shared/net/digest.ts';
import {
  bodyNotJson,
  contentTypeMustBe,
  emptyPicture,
  internalUrlRefused,
  internalUrlTakesNoParts,
  lengthRequired,
  notFound,
  uploadMalformed,
} from '@deblur/shared/protocol/errors.ts';
import {
  CALLBACK_BODY_MAX_BYTES,
  RESULT_UPLOAD_MAX_BYTES,
  SYNC_UPLOAD_MAX_BYTES,
  UPLOAD_COMPLETION_MAX_BYTES,
} from '@deblur/shared/limits.ts';
import { uploadCompletionSchema } from '@deblur/shared/protocol/runner-api.ts';
import type { Context, Handler } from 'hono';
import type { PartsUpload } from '../../results/runner-uploads.ts';
import type { InternalGrant, InternalUrls } from '../../runners/ports.ts';
import type { ResultUpload } from '../../results/result-store.ts';
import type { StoredBody } from '../../sources/source-store.ts';
import { readRemoteState } from '../../runners/remote-state.ts';
import { assertContentLength, bodyText } from '../body/body.ts';
import type { AppEnv } from '../context.ts';
import type { Ports } from '../ports.ts';

/** `GET /internal/sources/{token}`: the bytes of one source or master. */
export function getSource({ urls, sources, results }: Ports): Handler<AppEnv, '/internal/sources/:token'> {
  return async (c) => {
    const grant = await granted(urls.verify(c.req.param('token')), 'read');
    const stored = grant.kind === 'source' ? await sources.open(grant.key) : await masterBody(results, grant.key);
    if (stored === null) throw notFound('source');
    return c.body(stored.body, 200, {
      'Content-Type': 'application/octet-stream',
      'Content-Length': String(stored.size),
    });
  };
}

/**
 * `PUT /internal/results/{token}`: stores one master or result, under the key in the token; twice is once.
 * With `uploadId` and `partNumber` it takes one part of it; see uploadCompletionSchema.
 */
export function putResult({ urls, uploads }: Ports): Handler<AppEnv, ResultPath> {
  return async (c) => {
    const grant = await granted(urls.verify(c.req.param('token')), 'write');
    const upload = await partsUploadOf(c, urls);
    if (upload !== null) {
      const etag = await uploads.putPart(upload, ...partOf(c, grant));
      return c.body(null, 200, { ETag: `"${etag}"` });
    }
    assertContentType(c, grant.contentType);
    const { upload: picture, length } = await uploadOf(c.req.raw);
    await uploads.put(grant, picture, length);
    return c.body(null, 204);
  };
}

/** `POST /internal/results/{token}`: begins an upload in parts; with its `uploadId` it ends it. */
export function postResultParts({ urls, uploads }: Ports): Handler<AppEnv, ResultPath> {
  return async (c) => {
    const token = c.req.param('token');
    const grant = await granted(urls.verify(token), 'write');
    const upload = await partsUploadOf(c, urls);
    if (upload === null) {
      if (grant.partBytes === undefined) throw internalUrlTakesNoParts();
      assertContentType(c, grant.contentType);
      const { id } = await uploads.beginParts(await sha256Hex(token));
      const location = `?uploadId=${encodeURIComponent(await urls.signUpload(token, id))}`;
      return c.body(null, 201, { Location: location });
    }
    const completion = uploadCompletionSchema.safeParse(
      parseJson(await bodyText(c.req.raw.body, UPLOAD_COMPLETION_MAX_BYTES)),
    );
    if (!completion.success) throw uploadMalformed('end');
    const etags = completion.data.etags.map(unquoted);
    const sha256 = Uint8Array.fromHex(completion.data.sha256);
    await uploads.completeParts(upload, grant, { etags, sha256 });
    return c.body(null, 204);
  };
}

/** `DELETE /internal/results/{token}`: gives up an upload in parts. What is stored whole stays. */
export function deleteResultParts({ urls, uploads }: Ports): Handler<AppEnv, ResultPath> {
  return async (c) => {
    await granted(urls.verify(c.req.param('token')), 'write');
    const upload = await partsUploadOf(c, urls);
    if (upload === null) throw uploadMalformed('upload_id');
    await uploads.abortParts(upload);
    return c.body(null, 204);
  };
}

/** `POST /internal/callbacks/{token}`: how the attempt in the token goes, as the runner's `GET /predictions/{id}` shows it. */
export function postCallback({ urls, jobs }: Ports): Handler<AppEnv, '/internal/callbacks/:token'> {
  return async (c) => {
    const address = await granted(urls.verify(c.req.param('token')), 'callback');
    const text = await bodyText(c.req.raw.body, CALLBACK_BODY_MAX_BYTES);
    await jobs.report(address, readRemoteState(parseJson(text)));
    return c.body(null, 204);
  };
}

type ResultPath = '/internal/results/:token';

/**
 * The upload in parts that a request names; null when it names none. Its parts gather under the token's digest, so that no
 * token reaches what another one began.
 */
async function partsUploadOf(c: Context<AppEnv, ResultPath>, urls: InternalUrls): Promise<PartsUpload | null> {
  const signed = c.req.query('uploadId');
  if (signed === undefined) return null;
  const token = c.req.param('token');
  return { name: await sha256Hex(token), id: await urls.verifyUpload(token, signed) };
}

/** A part's number and bytes: with those before it, not more than one file may have. */
function partOf(
  c: Context<AppEnv, ResultPath>,
  { partBytes = 0 }: GrantFor<'write'>,
): [number: number, body: ReadableStream<Uint8Array>] {
  const number = Number(c.req.query('partNumber'));
  const offset = (number - 1) * partBytes;
  if (!Number.isInteger(number) || number < 1 || offset >= RESULT_UPLOAD_MAX_BYTES) {
    throw uploadMalformed('part_number');
  }
  const { body } = measuredBody(c.req.raw, Math.min(partBytes, RESULT_UPLOAD_MAX_BYTES - offset));
  return [number, body];
}

/** R2's ETag as it was before it travelled in a header; whoever compressed the answer made it a weak one. */
function unquoted(etag: string): string {
  return /^(?:W\/)?"(.*)"$/.exec(etag)?.[1] ?? etag;
}

function assertContentType(c: Context<AppEnv, ResultPath>, contentType: string): void {
  if (c.req.header('content-type') === contentType) return;
  throw contentTypeMustBe(contentType);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw bodyNotJson(cause);
  }
}

type GrantFor<Purpose extends InternalGrant['purpose']> = Extract<InternalGrant, { purpose: Purpose }>;

async function granted<Purpose extends InternalGrant['purpose']>(
  verified: Promise<InternalGrant>,
  purpose: Purpose,
): Promise<GrantFor<Purpose>> {
  const grant = await verified;
  if (isFor(grant, purpose)) return grant;
  throw internalUrlRefused();
}

function isFor<Purpose extends InternalGrant['purpose']>(
  grant: InternalGrant,
  purpose: Purpose,
): grant is GrantFor<Purpose> {
  return grant.purpose === purpose;
}

async function masterBody(results: Ports['results'], key: string): Promise<StoredBody | null> {
  const found = await results.get('master', key);
  return found?.kind === 'stored' ? found : null;
}

/** The store checks the digest while it writes; only a body that comes without one is held in memory, and bounded. */
async function uploadOf(request: Request): Promise<{ upload: Omit<ResultUpload, 'contentType'>; length: number }> {
  const { body, length } = measuredBody(request, RESULT_UPLOAD_MAX_BYTES);
  const announced = sha256Of(request.headers.get('content-digest'));
  if (announced !== null) return { upload: { body, sha256: announced }, length: Number(length) };
  assertContentLength(length, SYNC_UPLOAD_MAX_BYTES);
  const bytes = await request.arrayBuffer();
  const sha256 = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  const whole = new Response(bytes).body;
  if (whole === null) throw emptyPicture();
  return { upload: { body: whole, sha256 }, length: bytes.byteLength };
}

/** R2 takes streams of known length only. */
function measuredBody(
  { headers, body }: Request,
  maxBytes: number,
): { readonly body: ReadableStream<Uint8Array>; readonly length: string } {
  const length = headers.get('content-length');
  if (length === null || body === null) throw lengthRequired();
  assertContentLength(length, maxBytes);
  return { body, length };
}

/** Content-Digest (RFC 9530); null when there is none, or none that we know. */
function sha256Of(header: string | null): Uint8Array | null {
  const value = /(?:^|,)\s*sha-256=:([A-Za-z0-9+/]{43}=):/.exec(header ?? '')?.[1];
  return value === undefined ? null : Uint8Array.fromBase64(value, { lastChunkHandling: 'strict' });
}
