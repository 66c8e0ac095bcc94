/** The runner's side: what its signed URLs let it read and write. */
import { DeblurError } from '@deblur/shared/errors.ts';
import { CALLBACK_BODY_MAX_BYTES, RESULT_UPLOAD_MAX_BYTES, SYNC_UPLOAD_MAX_BYTES } from '@deblur/shared/limits.ts';
import type { Handler } from 'hono';
import type { InternalGrant, ResultUpload, StoredBody } from '../predict/ports.ts';
import { assertContentLength, bodyText } from './body.ts';
import type { AppEnv, Ports } from './context.ts';

/** `GET /internal/sources/{token}`: the bytes of one source or master. */
export function getSource({ urls, sources, results }: Ports): Handler<AppEnv, '/internal/sources/:token'> {
  return async (c) => {
    const grant = await granted(urls.verify(c.req.param('token')), 'read');
    const stored: StoredBody | null =
      grant.kind === 'source' ? await sources.open(grant.key) : await results.get('master', grant.key);
    if (stored === null) throw new DeblurError('not_found', 'It has expired.');
    return c.body(stored.body, 200, {
      'Content-Type': 'application/octet-stream',
      'Content-Length': String(stored.size),
    });
  };
}

/** `PUT /internal/results/{token}`: stores one master or result, under the key in the token; twice is once. */
export function putResult({ urls, results }: Ports): Handler<AppEnv, '/internal/results/:token'> {
  return async (c) => {
    const { kind, key, contentType, metadata } = await granted(urls.verify(c.req.param('token')), 'write');
    if (c.req.header('content-type') !== contentType) {
      throw new DeblurError('malformed_request', `The content type must be ${contentType}.`);
    }
    await results.putStream(kind, key, await uploadOf(c.req.raw, contentType), metadata);
    return c.body(null, 204);
  };
}

/** `POST /internal/callbacks/{token}`: how the attempt in the token goes, as the runner's `GET /predictions/{id}` shows it. */
export function postCallback({ urls, restorers, jobs }: Ports): Handler<AppEnv, '/internal/callbacks/:token'> {
  return async (c) => {
    const address = await granted(urls.verify(c.req.param('token')), 'callback');
    const text = await bodyText(c.req.raw.body, CALLBACK_BODY_MAX_BYTES);
    await jobs.report(address, restorers.gpu.read(parseJson(text)));
    return c.body(null, 204);
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new DeblurError('malformed_request', 'The body is not JSON.', { cause });
  }
}

type GrantFor<Purpose extends InternalGrant['purpose']> = Extract<InternalGrant, { purpose: Purpose }>;

async function granted<Purpose extends InternalGrant['purpose']>(
  verified: Promise<InternalGrant>,
  purpose: Purpose,
): Promise<GrantFor<Purpose>> {
  const grant = await verified;
  if (isFor(grant, purpose)) return grant;
  throw new DeblurError('forbidden', 'The URL is not valid, not for this, or no longer.');
}

function isFor<Purpose extends InternalGrant['purpose']>(
  grant: InternalGrant,
  purpose: Purpose,
): grant is GrantFor<Purpose> {
  return grant.purpose === purpose;
}

/** The store checks the digest while it writes; only a body that comes without one is held in memory, and bounded. */
async function uploadOf(request: Request, contentType: string): Promise<ResultUpload> {
  const length = request.headers.get('content-length');
  const { body } = request;
  if (length === null || body === null)
    throw new DeblurError('malformed_request', 'Content-Length and a body are required.');
  assertContentLength(length, RESULT_UPLOAD_MAX_BYTES);
  const announced = sha256Of(request.headers.get('content-digest'));
  if (announced !== null) return { body, contentType, sha256: announced };
  assertContentLength(length, SYNC_UPLOAD_MAX_BYTES);
  const bytes = await request.arrayBuffer();
  const sha256 = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  const whole = new Response(bytes).body;
  if (whole === null) throw new DeblurError('empty_body', 'There is nothing to store.');
  return { body: whole, contentType, sha256 };
}

/** Content-Digest (RFC 9530); null when there is none, or none that we know. */
function sha256Of(header: string | null): Uint8Array | null {
  const value = /(?:^|,)\s*sha-256=:([A-Za-z0-9+/]{43}=):/.exec(header ?? '')?.[1];
  return value === undefined ? null : Uint8Array.fromBase64(value);
}
