/** Uploads: hashed in memory when small, streamed to R2 while they are hashed when not. */
import { sha256Hex, toHex } from '@deblur/shared/net/digest.ts';
import type { PictureKeys } from '@deblur/shared/protocol/result-key.ts';
import { emptyPicture, pictureTruncated } from '@deblur/shared/protocol/errors.ts';
import type { ImageHeader } from '@deblur/shared/image-header/index.ts';
import { IN_MEMORY_UPLOAD_MAX_BYTES, SOURCE_RETENTION_SECONDS } from '@deblur/shared/limits.ts';
import { concat } from '@deblur/shared/metadata/bytes.ts';
import { newUploadKey, sourceObjectKey } from '../bucket-keys.ts';
import { inspectBytes, inspectFile } from './inspect.ts';

/** R2 takes parts of 5 MiB and more, all of one size but the last. */
const PART_BYTES = 5 * 1024 * 1024;

export interface StoredBody {
  readonly size: number;
  readonly body: ReadableStream<Uint8Array>;
  bytes(): Promise<Uint8Array>;
}

/** An upload that has arrived and is hashed; it is kept only when somebody needs it. */
export interface ReceivedSource {
  /** SHA-256 of the bytes, hexadecimal. */
  readonly digest: string;
  readonly bytes: number;
  readonly header: ImageHeader;
  /**
   * Stores it for the runner, under the SourceKey of its scope; twice is once.
   * @param options `anew`: for its whole retention from now on, however long it has been there
   */
  keep(scope: string, options?: { readonly anew?: boolean }): Promise<void>;
  /** Removes what was written while it arrived. Never fails, and does nothing after `keep`. */
  discard(): Promise<void>;
}

export class SourceStore {
  readonly #bucket: R2Bucket;
  readonly #keys: PictureKeys;

  constructor(bucket: R2Bucket, keys: PictureKeys) {
    this.#bucket = bucket;
    this.#keys = keys;
  }

  /**
   * Takes an upload in: small ones in memory, larger ones through storage while they are hashed.
   * @throws {DeblurError} `empty_body`, `body_too_large`, and what the header says against it; nothing is left behind
   */
  async receive(chunks: AsyncIterable<Uint8Array>): Promise<ReceivedSource> {
    const iterator = chunks[Symbol.asyncIterator]();
    try {
      const { bytes, ended } = await readBeginning(iterator, IN_MEMORY_UPLOAD_MAX_BYTES);
      return ended ? await this.#receiveInMemory(bytes) : await this.#receiveStreamed(bytes, iterator);
    } finally {
      await iterator.return?.();
    }
  }

  /** The bytes of a kept source; null when it has expired. */
  async open(sourceKey: string): Promise<StoredBody | null> {
    const found = await this.#bucket.get(sourceObjectKey(sourceKey));
    const elsewhere = found?.customMetadata?.['object'];
    const object = elsewhere === undefined ? found : await this.#bucket.get(elsewhere);
    if (object === null) return null;
    return { size: object.size, body: object.body, bytes: () => object.bytes() };
  }

  async delete(sourceKey: string): Promise<void> {
    const key = sourceObjectKey(sourceKey);
    const found = await this.#bucket.head(key);
    const elsewhere = found?.customMetadata?.['object'];
    if (found !== null) await this.#bucket.delete(elsewhere === undefined ? [key] : [key, elsewhere]);
  }

  /** There already, and for long enough: an older one is written anew, so that it does not expire under a job. */
  async isFresh(scope: string, digest: string): Promise<boolean> {
    const found = await this.#bucket.head(await this.#objectKey(scope, digest));
    return found !== null && Date.now() - found.uploaded.getTime() < (SOURCE_RETENTION_SECONDS * 1000) / 2;
  }

  async #objectKey(scope: string, digest: string): Promise<string> {
    return sourceObjectKey(await this.#keys.source(scope, digest));
  }

  async #receiveInMemory(bytes: Uint8Array): Promise<ReceivedSource> {
    if (bytes.length === 0) throw emptyPicture();
    const header = inspectBytes(bytes, { complete: true });
    if (header === undefined) throw pictureTruncated('file');
    const digest = await sha256Hex(bytes);
    return {
      digest,
      bytes: bytes.length,
      header,
      keep: async (scope) => {
        await this.#bucket.put(await this.#objectKey(scope, digest), bytes, { sha256: digest });
      },
      discard: async () => undefined,
    };
  }

  /** @param beginning more than IN_MEMORY_UPLOAD_MAX_BYTES, so that nearly every header is in it: a bomb is not even stored */
  async #receiveStreamed(beginning: Uint8Array, rest: AsyncIterator<Uint8Array>): Promise<ReceivedSource> {
    const early = inspectBytes(beginning, { complete: false });
    const key = newUploadKey();
    const { digest, bytes } = await this.#upload(key, beginning, rest);
    let temporary = true;
    const discard = async (): Promise<void> => {
      // What cannot be deleted now goes with the bucket's lifecycle rule.
      if (temporary) await this.#bucket.delete(key).catch(() => undefined);
      temporary = false;
    };
    const keep: ReceivedSource['keep'] = async (scope, { anew = false } = {}) => {
      if (!temporary || (!anew && (await this.isFresh(scope, digest)))) return;
      await this.#bucket.put(await this.#objectKey(scope, digest), new Uint8Array(0), {
        customMetadata: { object: key },
      });
      temporary = false;
    };
    try {
      return { digest, bytes, header: early ?? (await this.#inspectStored(key, beginning, bytes)), keep, discard };
    } catch (error) {
      await discard();
      throw error;
    }
  }

  /** Copies a stream into an R2 multipart upload, hashing on the way; a failure leaves no parts behind. */
  async #upload(
    key: string,
    beginning: Uint8Array,
    rest: AsyncIterator<Uint8Array>,
  ): Promise<{ digest: string; bytes: number }> {
    const upload = await this.#bucket.createMultipartUpload(key);
    const hash = new crypto.DigestStream('SHA-256');
    // Aborted below on failure; its rejection has no other reader then.
    hash.digest.catch(() => undefined);
    const hasher = hash.getWriter();
    try {
      const parts: R2UploadedPart[] = [];
      let bytes = 0;
      for await (const part of partsOf(beginning, rest)) {
        bytes += part.length;
        await hasher.write(part);
        parts.push(await upload.uploadPart(parts.length + 1, part));
      }
      await hasher.close();
      await upload.complete(parts);
      return { digest: toHex(new Uint8Array(await hash.digest)), bytes };
    } catch (error) {
      await Promise.allSettled([hasher.abort(error), upload.abort()]);
      throw error;
    }
  }

  /** For the rare file whose header lies behind its first megabytes. */
  #inspectStored(key: string, beginning: Uint8Array, length: number): Promise<ImageHeader> {
    return inspectFile({
      length,
      beginning,
      read: async (at, bytes) => {
        const object = await this.#bucket.get(key, { range: { offset: at, length: bytes } });
        if (object === null) throw new Error(`upload ${key} vanished`);
        return object.bytes();
      },
    });
  }
}

/** Reads until the end, or until more than `maxBytes` are there. */
async function readBeginning(
  iterator: AsyncIterator<Uint8Array>,
  maxBytes: number,
): Promise<{ bytes: Uint8Array; ended: boolean }> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  let ended = false;
  while (!ended && length <= maxBytes) {
    const { value, done } = await iterator.next();
    if (done === true) ended = true;
    else {
      chunks.push(value);
      length += value.length;
    }
  }
  const [only] = chunks;
  return { bytes: chunks.length === 1 && only !== undefined ? only : concat(chunks), ended };
}

/** The same bytes in parts of PART_BYTES. The array is reused: a part is only good until the next. */
async function* partsOf(
  beginning: Uint8Array,
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const part = new Uint8Array(PART_BYTES);
  let filled = 0;
  let chunk: Uint8Array | undefined = beginning;
  while (chunk !== undefined) {
    for (let at = 0; at < chunk.length;) {
      const taken = Math.min(chunk.length - at, PART_BYTES - filled);
      part.set(chunk.subarray(at, at + taken), filled);
      at += taken;
      filled += taken;
      if (filled === PART_BYTES) {
        yield part;
        filled = 0;
      }
    }
    const { value, done }: IteratorResult<Uint8Array> = await rest.next();
    chunk = done === true ? undefined : value;
  }
  if (filled > 0) yield part.subarray(0, filled);
}
