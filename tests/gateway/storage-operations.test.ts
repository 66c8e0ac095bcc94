/** What one request costs at the bucket. */
import { env } from 'cloudflare:workers';
import { expect, it, vi } from 'vitest';
import { deblur, madeHow } from './support/gateway.ts';
import { jpeg } from './support/pictures.ts';

const OPERATIONS = ['head', 'get', 'put', 'delete', 'list', 'createMultipartUpload'] as const;

/** The operations of all objects of this isolate, in their order. */
async function operationsOf(act: () => Promise<unknown>): Promise<string[]> {
  const prototype = Object.getPrototypeOf(env.STORE) as R2Bucket;
  const seen: string[] = [];
  const spies = OPERATIONS.map((name) => {
    const original = prototype[name] as (...args: unknown[]) => unknown;
    return vi.spyOn(prototype, name).mockImplementation(function (this: R2Bucket, ...args: unknown[]) {
      seen.push(name);
      return original.apply(this, args) as never;
    });
  });
  try {
    await act();
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  return seen;
}

it('is seven operations for a small upload that is restored at the edge, and one for a hit', async () => {
  const picture = jpeg();
  let how = '';
  const miss = await operationsOf(async () => (how = await madeHow(await deblur(picture))));
  expect(how).toBe('200 miss edge image/jpeg');
  // Stored? Source. Master? Source, master and result of the restoration. The answer.
  expect(miss).toEqual(['get', 'put', 'head', 'get', 'put', 'put', 'get']);
  const hit = await operationsOf(async () => (how = await madeHow(await deblur(picture))));
  expect(how).toBe('200 hit edge image/jpeg');
  expect(hit).toEqual(['get']);
});
