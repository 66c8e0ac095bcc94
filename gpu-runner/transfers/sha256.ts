import { hash } from 'node:crypto';
import { INLINE_HASH_MAX_BYTES } from '../limits.ts';

/** Large files are hashed on another thread, so that this one goes on; handing a small one over takes longer than its hash. */
export async function sha256(bytes: Uint8Array, encoding: 'base64' | 'hex'): Promise<string> {
  if (bytes.length <= INLINE_HASH_MAX_BYTES) return hash('sha256', bytes, encoding);
  return Buffer.from(await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>)).toString(encoding);
}
