/** SHA-256 as lower-case hexadecimal, 64 characters. Works on web-standard crypto in every runtime. */
export async function sha256Hex(data: Uint8Array | string): Promise<string> {
  const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data;
  return toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>)));
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** What `sha256Hex` makes: a key, a version, a file's digest. */
export const HEX_SHA256 = /^[0-9a-f]{64}$/;

export function isSha256Hex(value: string): boolean {
  return HEX_SHA256.test(value);
}
