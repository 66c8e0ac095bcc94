/**
 * Internal URLs: signed, for the runner: each allows one thing, on one key, until it expires.
 *
 * Token = base64url(payload) "." base64url(HMAC-SHA256(secret, base64url(payload))). The signature is compared in
 * constant time before anything is parsed. The id of an upload in parts is signed together with its token; no payload has
 * their dot, so that neither signature is ever taken for the other.
 */
import { fromBase64url, toBase64url } from '@deblur/shared/net/http.ts';
import { HEX_SHA256 } from '@deblur/shared/net/digest.ts';
import { internalUrlRefused } from '@deblur/shared/protocol/errors.ts';
import { INTERNAL_URL_TTL_SECONDS, UPLOAD_PART_MIN_BYTES } from '@deblur/shared/limits.ts';
import { z } from 'zod';
import { resultMetadataSchema } from '../results/stored-result.ts';
import type { InternalGrant, InternalUrls } from './ports.ts';

const key = z.string().regex(HEX_SHA256);

const payloadSchema = z.intersection(
  z.object({ exp: z.int() }),
  z.discriminatedUnion('purpose', [
    z.object({ purpose: z.literal('read'), kind: z.enum(['source', 'master']), key }),
    z.object({
      purpose: z.literal('write'),
      kind: z.enum(['master', 'result']),
      key,
      contentType: z.string(),
      metadata: resultMetadataSchema,
      partBytes: z.int().min(UPLOAD_PART_MIN_BYTES).optional(),
    }),
    z.object({ purpose: z.literal('callback'), restorationKey: key, resultKey: key, attempt: z.int() }),
  ]),
);

const ROUTES = { read: 'sources', write: 'results', callback: 'callbacks' } as const satisfies Record<
  InternalGrant['purpose'],
  string
>;

const ALGORITHM = { name: 'HMAC', hash: 'SHA-256' };

/** Longer than any token of ours: what is longer is not hashed. */
const TOKEN_MAX_CHARACTERS = 2048;

/** The same; R2's ids have a few hundred characters. */
const UPLOAD_ID_MAX_CHARACTERS = 2048;

export interface InternalUrlOptions {
  /** The gateway's origin as the runner reaches it. */
  readonly origin: string;
  readonly secret: string;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

export class SignedInternalUrls implements InternalUrls {
  readonly #origin: string;
  readonly #now: () => number;
  readonly #secret: string;
  #cryptoKey: Promise<CryptoKey> | undefined;

  constructor({ origin, secret, now = Date.now }: InternalUrlOptions) {
    this.#origin = origin;
    this.#secret = secret;
    this.#now = now;
  }

  async sign(grant: InternalGrant): Promise<string> {
    const exp = Math.floor(this.#now() / 1000) + INTERNAL_URL_TTL_SECONDS;
    const payload = toBase64url(encode(JSON.stringify({ ...grant, exp } satisfies z.input<typeof payloadSchema>)));
    return `${this.#origin}/internal/${ROUTES[grant.purpose]}/${payload}.${await this.#signature(payload)}`;
  }

  async verify(token: string): Promise<InternalGrant> {
    if (token.length > TOKEN_MAX_CHARACTERS) throw internalUrlRefused();
    const [payload = '', signature = ''] = token.split('.', 2);
    // One answer to everything that is wrong with a token: a forger learns nothing.
    const genuine = await this.#isGenuine(signature, payload);
    if (!genuine || token !== `${payload}.${signature}`) throw internalUrlRefused();
    // Genuine, so written by us; it may still come from another version of us.
    const parsed = payloadSchema.safeParse(JSON.parse(new TextDecoder().decode(fromBase64url(payload) ?? undefined)));
    if (!parsed.success) throw internalUrlRefused();
    const { exp, ...grant } = parsed.data;
    if (exp * 1000 <= this.#now()) throw internalUrlRefused();
    return grant;
  }

  async signUpload(token: string, id: string): Promise<string> {
    return `${await this.#signature(`${token}.${id}`)}.${id}`;
  }

  async verifyUpload(token: string, signed: string): Promise<string> {
    if (signed.length > UPLOAD_ID_MAX_CHARACTERS) throw internalUrlRefused();
    const [signature = ''] = signed.split('.', 1);
    const id = signed.slice(signature.length + 1);
    if (!(await this.#isGenuine(signature, `${token}.${id}`))) throw internalUrlRefused();
    return id;
  }

  async #signature(text: string): Promise<string> {
    return toBase64url(new Uint8Array(await crypto.subtle.sign('HMAC', await this.#key(), encode(text))));
  }

  async #isGenuine(signature: string, text: string): Promise<boolean> {
    const bytes = fromBase64url(signature);
    return bytes !== null && crypto.subtle.verify('HMAC', await this.#key(), bytes, encode(text));
  }

  #key(): Promise<CryptoKey> {
    this.#cryptoKey ??= crypto.subtle.importKey('raw', encode(this.#secret), ALGORITHM, false, ['sign', 'verify']);
    return this.#cryptoKey;
  }
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
