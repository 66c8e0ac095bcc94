/** Whether two texts are one, in constant time: digests have one length, whatever was given. */
export async function isSame(given: string, expected: string): Promise<boolean> {
  const [a, b] = await Promise.all([given, expected].map((text) => crypto.subtle.digest('SHA-256', encode(text))));
  return a !== undefined && b !== undefined && crypto.subtle.timingSafeEqual(a, b);
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
