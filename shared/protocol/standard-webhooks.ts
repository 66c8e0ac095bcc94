/**
 * Standard Webhooks 1.0.0 (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md):
 * signing for senders and verifying for receivers, by WebCrypto, so in every runtime.
 *
 * A signature is `v1,` and the base64 of HMAC-SHA256(secret, `{id}.{timestamp}.{body}`). A secret is `whsec_` and the base64
 * of 24 to 64 random bytes.
 */

export const WEBHOOK_HEADERS = ['webhook-id', 'webhook-timestamp', 'webhook-signature'] as const;

/** How far the clocks of sender and receiver may be apart: what is older may be a replay. */
export const WEBHOOK_TOLERANCE_SECONDS = 300;

const SECRET_PREFIX = 'whsec_';
const SECRET_BYTES = 32;
const SECRET_MIN_BYTES = 24;
const SECRET_MAX_BYTES = 64;

/** More signatures than any rotation makes; each costs the receiver an HMAC. */
const MAX_SIGNATURES = 16;

const ALGORITHM = { name: 'HMAC', hash: 'SHA-256' };

export interface WebhookMessage {
  /** The same for every attempt: by it a receiver knows what it has seen. No full stop in it. */
  readonly id: string;
  /** Of this attempt, whole seconds since the epoch. */
  readonly timestamp: number;
  /** The bytes that are sent; a text is sent as UTF-8. */
  readonly body: string | Uint8Array;
}

export type WebhookHeaders = Readonly<Record<(typeof WEBHOOK_HEADERS)[number], string>>;

export type WebhookFault =
  | 'missing_header'
  | 'malformed_timestamp'
  | 'too_old'
  | 'too_new'
  /** Forged, signed by another secret, or the body is not the one that was signed. */
  | 'no_matching_signature';

export class WebhookVerificationError extends Error {
  override readonly name = 'WebhookVerificationError';
  readonly fault: WebhookFault;

  constructor(fault: WebhookFault) {
    super(`webhook: ${fault}`);
    this.fault = fault;
  }
}

/** A new secret, `whsec_…`. */
export function newWebhookSecret(): string {
  return SECRET_PREFIX + toBase64(crypto.getRandomValues(new Uint8Array(SECRET_BYTES)));
}

/** Whether it can be signed by: `whsec_` and the base64 of 24 to 64 bytes. */
export function isWebhookSecret(text: string): boolean {
  return text.startsWith(SECRET_PREFIX) && bytesOfSecret(text) !== null;
}

/**
 * The three headers of one attempt.
 * @param secrets the first is the current one; while secrets are rotated the message carries a signature by each
 * @throws {TypeError} for a secret that is none, an id with a full stop, a timestamp that is no whole number
 */
export async function signWebhook(message: WebhookMessage, secrets: readonly string[]): Promise<WebhookHeaders> {
  const { id, timestamp } = message;
  if (id === '' || id.includes('.')) throw new TypeError('a webhook id has one character or more and no full stop');
  if (!Number.isSafeInteger(timestamp)) throw new TypeError('a webhook timestamp is in whole seconds');
  if (secrets.length === 0) throw new TypeError('there is no secret to sign by');
  const content = signedContent(String(id), String(timestamp), bytesOf(message.body));
  const signatures = await Promise.all(
    secrets.map(async (secret) => {
      const signature = await crypto.subtle.sign(ALGORITHM, await importSecret(secret), content);
      return `v1,${toBase64(new Uint8Array(signature))}`;
    }),
  );
  return { 'webhook-id': id, 'webhook-timestamp': String(timestamp), 'webhook-signature': signatures.join(' ') };
}

export interface VerifyWebhookOptions {
  /** Milliseconds since the epoch. */
  readonly now?: number;
  readonly toleranceSeconds?: number;
}

/**
 * Whether this body came from who knows a secret, now. Call it before the body is parsed, with the bytes as they came.
 *
 * Signatures are compared in constant time (WebCrypto's `verify`). A message within the tolerance can still be a repetition:
 * remember the id, and do nothing the second time.
 *
 * @param headers a Fetch `Headers`, or Node's `request.headers`
 * @param secrets one or more; any may have signed
 * @returns the id, and when it was signed
 * @throws {WebhookVerificationError} for everything that a sender can do wrong; {TypeError} for a secret that is none
 */
export async function verifyWebhook(
  headers: Headers | Readonly<Record<string, string | readonly string[] | undefined>>,
  body: string | Uint8Array,
  secrets: string | readonly string[],
  { now = Date.now(), toleranceSeconds = WEBHOOK_TOLERANCE_SECONDS }: VerifyWebhookOptions = {},
): Promise<{ readonly id: string; readonly timestamp: Date }> {
  const keys = await Promise.all([secrets].flat().map((secret) => importSecret(secret)));
  const [id, timestamp, signature] = WEBHOOK_HEADERS.map((name) => headerOf(headers, name));
  if (!id || !timestamp || !signature) throw new WebhookVerificationError('missing_header');
  if (!/^\d{1,12}$/.test(timestamp)) throw new WebhookVerificationError('malformed_timestamp');
  const ageSeconds = Math.floor(now / 1000) - Number(timestamp);
  if (ageSeconds > toleranceSeconds) throw new WebhookVerificationError('too_old');
  if (ageSeconds < -toleranceSeconds) throw new WebhookVerificationError('too_new');
  const content = signedContent(id, timestamp, bytesOf(body));
  for (const candidate of signaturesIn(signature)) {
    for (const key of keys) {
      if (await crypto.subtle.verify(ALGORITHM, key, candidate, content)) {
        return { id, timestamp: new Date(Number(timestamp) * 1000) };
      }
    }
  }
  throw new WebhookVerificationError('no_matching_signature');
}

function headerOf(
  headers: Headers | Readonly<Record<string, string | readonly string[] | undefined>>,
  name: string,
): string | undefined {
  if (headers instanceof Headers) return headers.get(name) ?? undefined;
  const value = headers[name];
  return typeof value === 'string' ? value : undefined;
}

/** The `v1` ones of a space-separated list; other versions (`v1a` is asymmetric) are somebody else's. */
function signaturesIn(header: string): Uint8Array<ArrayBuffer>[] {
  return header
    .split(' ', MAX_SIGNATURES)
    .filter((entry) => entry.startsWith('v1,'))
    .map((entry) => fromBase64(entry.slice('v1,'.length)))
    .filter((bytes) => bytes !== null);
}

function signedContent(id: string, timestamp: string, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const head = encode(`${id}.${timestamp}.`);
  const content = new Uint8Array(head.length + body.length);
  content.set(head);
  content.set(body, head.length);
  return content;
}

async function importSecret(secret: string): Promise<CryptoKey> {
  const bytes = bytesOfSecret(secret);
  if (bytes === null) throw new TypeError(`a webhook secret is ${SECRET_PREFIX} and the base64 of 24 to 64 bytes`);
  return crypto.subtle.importKey('raw', bytes, ALGORITHM, false, ['sign', 'verify']);
}

/** Null for what is none. The prefix may be missing, as from services that show the base64 alone. */
function bytesOfSecret(secret: string): Uint8Array<ArrayBuffer> | null {
  const bytes = fromBase64(secret.startsWith(SECRET_PREFIX) ? secret.slice(SECRET_PREFIX.length) : secret);
  return bytes !== null && bytes.length >= SECRET_MIN_BYTES && bytes.length <= SECRET_MAX_BYTES ? bytes : null;
}

const bytesOf = (body: string | Uint8Array): Uint8Array => (typeof body === 'string' ? encode(body) : body);
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

const toBase64 = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes));

function fromBase64(text: string): Uint8Array<ArrayBuffer> | null {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return null;
  }
}
