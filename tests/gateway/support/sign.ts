/** Image links, written down from their description and not by the code under test; tests/shared has Node's HMAC. */
import { env } from 'cloudflare:workers';

/** The pairs of IMAGE_LINK_KEYS: the one that signs, and the one that it took over from. */
const PAIRS = (env.IMAGE_LINK_KEYS ?? '')
  .split(',')
  .map((pair) => pair.split(':').map((hex) => Uint8Array.fromHex(hex)));

const base64url = (bytes: Uint8Array): string => bytes.toBase64({ alphabet: 'base64url', omitPadding: true });

/** @param rest `/{options}/{source}` as it stands in the path */
export async function signText(rest: string, pair = 0): Promise<string> {
  const [key, salt] = PAIRS[pair] ?? [];
  if (key === undefined || salt === undefined) throw new Error(`there is no pair ${pair}`);
  const hmac = await crypto.subtle.importKey('raw', key, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  const message = new Uint8Array([...salt, ...new TextEncoder().encode(rest)]);
  return `/i/${base64url(new Uint8Array(await crypto.subtle.sign('HMAC', hmac, message)))}${rest}`;
}

export function sign(source: string, options = '_', pair = 0): Promise<string> {
  return signText(`/${options}/${base64url(new TextEncoder().encode(source))}`, pair);
}
