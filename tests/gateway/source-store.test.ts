import { PictureKeys } from '@deblur/shared/protocol/result-key.ts';
/** How much of an upload the gateway holds. */
import { env } from 'cloudflare:workers';
import { IN_MEMORY_UPLOAD_MAX_BYTES } from '@deblur/shared/limits.ts';
import { expect, it } from 'vitest';
import { SourceStore } from '../../workers/gateway/sources/source-store.ts';
import { deblur, gpu, madeHow } from './support/gateway.ts';
import { streamOf, tiff } from './support/pictures.ts';

const MIB = 1024 * 1024;

/** The bucket, and how many bytes are read of it. */
function counted(): { bucket: R2Bucket; bytes: () => number } {
  let bytes = 0;
  const bucket = new Proxy(env.STORE, {
    get(target, name) {
      if (name !== 'get') return (...args: unknown[]) => Reflect.apply(Reflect.get(target, name), target, args);
      return async (key: string, options?: R2GetOptions) => {
        const object = await target.get(key, options);
        const range = object?.range as { readonly length?: number } | undefined;
        bytes += range?.length ?? object?.size ?? 0;
        return object;
      };
    },
  });
  return { bucket, bytes: () => bytes };
}

it('reads no more of a large upload than its header, also when that lies behind the pixels', async () => {
  const { bucket, bytes } = counted();
  const picture = tiff({ width: 4000, height: 3000 });
  expect(picture.length).toBeGreaterThan(11 * MIB);
  const received = await new SourceStore(bucket, new PictureKeys('k'.repeat(32))).receive(streamOf(picture));
  expect(received).toMatchObject({ bytes: picture.length, header: { format: 'tiff', width: 4000, height: 3000 } });
  expect(bytes()).toBeGreaterThan(0);
  expect(bytes()).toBeLessThan(MIB);
  await received.discard();
});

it('refuses a large upload whose header is nowhere, and leaves nothing', async () => {
  const { bucket, bytes } = counted();
  const picture = tiff({ width: 4000, height: 3000 }).subarray(0, 11 * MIB);
  const received = new SourceStore(bucket, new PictureKeys('k'.repeat(32))).receive(streamOf(picture));
  await expect(received).rejects.toMatchObject({ code: 'image_truncated' });
  expect(bytes()).toBeLessThanOrEqual(IN_MEMORY_UPLOAD_MAX_BYTES);
  expect((await env.STORE.list()).objects).toEqual([]);
});

it('restores it', async () => {
  expect(await madeHow(await deblur(tiff({ width: 4000, height: 3000 })))).toMatch(/^200 miss runner /);
  expect(await gpu.requests()).toHaveLength(1);
});
