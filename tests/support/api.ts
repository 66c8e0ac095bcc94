import { expect } from 'vitest';

/**
 * What the API itself answers for a picture and options. Equal requests have equal bytes, and these were restored before.
 * @param query from `?` on
 */
export async function restoredBefore(url: string, picture: Buffer, query = ''): Promise<Buffer> {
  const response = await fetch(`${url}/v1/deblur${query}`, { method: 'POST', body: new Uint8Array(picture) });
  expect([response.status, response.headers.get('x-cache')]).toEqual([200, 'hit']);
  const restored = Buffer.from(await response.arrayBuffer());
  expect(restored.equals(picture)).toBe(false);
  return restored;
}
