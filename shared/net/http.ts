/** What clients and servers of HTTP need alike: statuses, Retry-After, base64url, and comparison in constant time. */

/** Statuses that lead elsewhere by `Location`, for a request without a body. */
export const isRedirect = (status: number): boolean => [301, 302, 303, 307, 308].includes(status);

/** Whether a host may answer otherwise in a moment, when nothing else is known of it. */
export const mayPass = (status: number): boolean => status === 408 || status === 429 || status >= 500;

/**
 * `Retry-After` (RFC 9110 § 10.2.3): seconds, or a date.
 * @param now milliseconds since the epoch
 * @returns whole seconds from `now`, not below zero; null when there is none, or none that can be read
 */
export function parseRetryAfter(header: string | null | undefined, now: number): number | null {
  const text = header?.trim() ?? '';
  if (/^\d{1,10}$/.test(text)) return Number(text);
  // Every one of HTTP's three forms of a date begins with the name of a day; Date.parse would take much more.
  const date = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(date) ? null : Math.max(0, Math.ceil((date - now) / 1000));
}

/** Unpadded (RFC 4648 § 5). */
export function toBase64url(bytes: Uint8Array): string {
  const binary = Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** @returns null for other alphabets, padding, blanks, and loose bits behind the last byte: each value has one spelling */
export function fromBase64url(text: string): Uint8Array<ArrayBuffer> | null {
  if (!/^[A-Za-z0-9_-]+$/.test(text) || text.length % 4 === 1) return null;
  const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  return toBase64url(bytes) === text ? bytes : null;
}

/** Whether two texts are equal, in a time that tells nothing of them: digests have one length, whatever was given. */
export async function isSame(given: string, expected: string): Promise<boolean> {
  const digests = [given, expected].map((text) => crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
  const [a, b] = (await Promise.all(digests)).map((digest) => new Uint8Array(digest));
  let difference = 0;
  for (const [i, byte] of a!.entries()) difference |= byte ^ b![i]!;
  return difference === 0;
}
