/** Headers of answers, each described once and referred to by name. */

const text = (description: string, more: object = {}) => ({ description, schema: { type: 'string', ...more } });
const sha256 = '^sha-256=:[A-Za-z0-9+/]{43}=:$';

export const HEADERS = {
  'X-Request-Id': {
    ...text("Names this request in the service's log; a sane one of the request's is kept.", { maxLength: 64 }),
    required: true,
  },
  'RateLimit-Policy': text('What may be spent, in megapixels and in requests (draft-ietf-httpapi-ratelimit-headers).'),
  RateLimit: text('What is left of it.'),
  'Retry-After': { description: 'Seconds.', schema: { type: 'integer', minimum: 0 } },
  'WWW-Authenticate': text('RFC 6750.'),
  Location: text('The path of what was made.'),
  'Preference-Applied': text('What of `Prefer` was asked for and done (RFC 7240).'),
  ETag: text('RFC 9110; for `If-None-Match`.'),
  Link: text('The immutable result: `</v1/results/…>; rel="canonical"`.'),
  'Server-Timing': text('Where the time went, in milliseconds.'),
  'X-Model': text('Model and version that really ran.', { pattern: '^[a-z0-9-]+@[0-9a-f]{12}$' }),
  'X-Placement': text('Where it ran.', { enum: ['edge', 'runner'] }),
  'X-Cache': text("`miss`: this request's inference. `coalesced`: another's, waited for. `hit`: none.", {
    enum: ['hit', 'miss', 'coalesced'],
  }),
  'X-Scale': text('The picture was restored at 1/n of its size; absent where no inference ran.', {
    pattern: '^[1-4]$',
  }),
  'X-Change': text('How much the restoration changed the picture, in levels of 255: `mean=…, max=…, sharpness=…`.'),
  'Content-Digest': text('RFC 9530.', { pattern: sha256 }),
  'Repr-Digest': text('RFC 9530, of the whole.', { pattern: sha256 }),
  'Content-Location': text('The path of exactly these bytes.'),
  'Content-Range': text('RFC 9110.'),
  'Accept-Ranges': text('`bytes`.'),
  'Cache-Control': text('`public`, `immutable`, for as long as the result lives.'),
} as const;

type HeaderName = keyof typeof HEADERS;

export function headers(...names: readonly HeaderName[]): Record<string, object> {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

/** Of every answer. */
export const REQUEST_ID = headers('X-Request-Id');

/** Of every answer that a limit counts. */
export const LIMIT_HEADERS = headers('RateLimit-Policy', 'RateLimit');
