/**
 * Signed picture URLs in the manner of imgproxy: whoever holds a key may name a source and options, nobody else may.
 *
 *   /i/{signature}/{options}/{source}
 *
 * options    `name:value` joined by commas, or `_` for none
 * source     the URL of the picture, unpadded base64url
 * signature  unpadded base64url of HMAC-SHA256(key, salt + "/{options}/{source}"), all 32 bytes, over the path as it is written
 */
import { notBase64url } from './errors.ts';
import { fromBase64url, toBase64url } from '../net/http.ts';
import { SIGNED_PATH_MAX_CHARACTERS } from '../limits.ts';

export interface SigningKey {
  readonly key: Uint8Array;
  readonly salt: Uint8Array;
}

/** The text of a path whose signature was found genuine; nothing of it is parsed yet. */
export interface SignedText {
  readonly options: string;
  readonly source: string;
}

const ALGORITHM = { name: 'HMAC', hash: 'SHA-256' };

/** RFC 2104 § 3: a key shorter than the hash's output weakens it, and one that can be guessed is none. */
const KEY_MIN_BYTES = 32;

/**
 * `key:salt` pairs in hexadecimal, separated by commas: the first signs, all verify, so that one can take over from another.
 * @throws {Error} that tells what is wrong, without the keys
 */
export function parseSigningKeys(text: string): SigningKey[] {
  const pairs = text.split(',').map((pair) => pair.trim());
  return pairs.filter((pair) => pair !== '').map(parsePair);
}

function parsePair(pair: string): SigningKey {
  const [key = '', salt = '', ...rest] = pair.split(':').map(fromHex);
  if (!key || !salt || rest.length > 0) throw new Error('must be key:salt pairs in hexadecimal, separated by commas');
  if (key.length < KEY_MIN_BYTES) throw new Error(`must have keys of ${KEY_MIN_BYTES} bytes or more`);
  return { key, salt };
}

/**
 * The path of an image link.
 * @param options in any order; the order is part of what is signed
 */
export async function signPath(
  key: SigningKey,
  source: string,
  options: Readonly<Record<string, string | number>> = {},
): Promise<string> {
  const list = Object.entries(options).map(([name, value]) => `${name}:${value}`);
  const signed = `/${list.join(',') || '_'}/${toBase64url(new TextEncoder().encode(source))}`;
  const mac = await crypto.subtle.sign('HMAC', await importKey(key), message(key, signed));
  return `/i/${toBase64url(new Uint8Array(mac))}${signed}`;
}

/**
 * @param path as the request has it, not decoded; runtimes have folded its dot segments (`/i/x/../…`) before
 * @returns null when no key signed exactly this; compared in constant time, before anything is parsed
 */
export async function verifyPath(keys: readonly SigningKey[], path: string): Promise<SignedText | null> {
  if (path.length > SIGNED_PATH_MAX_CHARACTERS) return null;
  const [, signature = '', signed = '', options = '', source = ''] =
    /^\/i\/([A-Za-z0-9_-]{43})(\/([^/]+)\/([^/]+))$/.exec(path) ?? [];
  const mac = fromBase64url(signature);
  if (mac === null) return null;
  const verdicts = await Promise.all(
    keys.map(async (key) => crypto.subtle.verify('HMAC', await importKey(key), mac, message(key, signed))),
  );
  return verdicts.includes(true) ? { options, source } : null;
}

function fromHex(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^(?:[0-9a-f]{2})+$/i.test(text)) return undefined;
  return Uint8Array.from(text.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}

function message({ salt }: SigningKey, signed: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from([...salt, ...new TextEncoder().encode(signed)]);
}

function importKey({ key }: SigningKey) {
  return crypto.subtle.importKey('raw', key as Uint8Array<ArrayBuffer>, ALGORITHM, false, ['sign', 'verify']);
}

/** The URL that a signed path names. @throws {DeblurError} `malformed_request` */
export function sourceUrlOf({ source }: SignedText): string {
  const bytes = fromBase64url(source);
  try {
    if (bytes !== null) return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    // Not UTF-8.
  }
  throw notBase64url();
}
