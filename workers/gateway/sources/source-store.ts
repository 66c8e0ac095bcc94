/** Uploads: hashed in memory when small, streamed to R2 while they are hashed when not. */
import { sha256Hex, toHex } from '@deblur/shared/net/digest.ts';
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import type { ImageHeader, RemoteFile } from '@deblur/shared/image-header/index.ts';
import { IN_MEMORY_UPLOAD_MAX_BYTES, SOURCE_RETENTION_SECONDS } from '@deblur/shared/limits.ts';
import { concat } from '@deblur/shared/metadata/bytes.ts';
import type { ReceivedSource, SourceStore, StoredBody } from './ports.ts';
import { newUploadKey, sourceKey } from '../bucket-keys.ts';

/** R2 takes parts of 5 MiB and more, all of one size but the last. */
const PART_BYTES = 5 * 1024 * 1024;

/** Reads headers. @throws {DeblurError} when the picture is refused */
export interface Inspect {
  /** Undefined when it lies beyond the bytes given. */
  bytes(bytes: Uint8Array, options: { readonly complete: boolean }): ImageHeader | undefined;
  file(file: RemoteFile): Promise<ImageHeader>;
}

export class R2SourceStore implements SourceStore {
  readonly #bucket: R2Bucket;
  readonly #inspect: Inspect;

  constructor(bucket: R2Bucket, inspect: Inspect) {
    this.#bucket = bucket;
    this.#inspect = inspect;
  }

  async receive(chunks: AsyncIterable<Uint8Array>): Promise<ReceivedSource> {
    const iterator = chunks[Symbol.asyncIterator]();
    try {
      const { bytes, ended } = await readBeginning(iterator, IN_MEMORY_UPLOAD_MAX_BYTES);
      return ended ? await this.#receiveInMemory(bytes) : await this.#receiveStreamed(bytes, iterator);
    } finally {
      await iterator.return?.();
    }
  }

  async open(digest: string): Promise<StoredBody | null> {
    const found = await this.#bucket.get(sourceKey(digest));
    const elsewhere = found?.customMetadata?.['object'];
    const object = elsewhere === undefined ? found : await this.#bucket.get(elsewhere);
    if (object === null) return null;
    return { size: object.size, body: object.body, bytes: () => object.bytes() };
  }

  async #receiveInMemory(bytes: Uint8Array): Promise<ReceivedSource> {
    if (bytes.length === 0) throw new DeblurError('empty_body', 'There is no picture: not a byte came.');
    const header = this.#inspectWhole(bytes);
    const digest = await sha256Hex(bytes);
    return {
      digest,
      bytes: bytes.length,
      header,
      keep: async ({ anew = false } = {}) => {
        if (!anew && (await this.isFresh(digest))) return;
        await this.#bucket.put(sourceKey(digest), bytes, { sha256: digest });
      },
      discard: async () => undefined,
    };
  }

  /** @param beginning more than IN_MEMORY_UPLOAD_MAX_BYTES, so that nearly every header is in it: a bomb is not even stored */
  async #receiveStreamed(beginning: Uint8Array, rest: AsyncIterator<Uint8Array>): Promise<ReceivedSource> {
    const early = this.#inspect.bytes(beginning, { complete: false });
    const key = newUploadKey();
    const { digest, bytes } = await this.#upload(key, beginning, rest);
    let temporary = true;
    const discard = async (): Promise<void> => {
      // What cannot be deleted now goes with the bucket's lifecycle rule.
      if (temporary) await this.#bucket.delete(key).catch(() => undefined);
      temporary = false;
    };
    const keep = async ({ anew = false } = {}): Promise<void> => {
      if (!temporary || (!anew && (await this.isFresh(digest)))) return;
      await this.#bucket.put(sourceKey(digest), new Uint8Array(0), { customMetadata: { object: key } });
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
    return this.#inspect.file({
      length,
      beginning,
      read: async (at, bytes) => {
        const object = await this.#bucket.get(key, { range: { offset: at, length: bytes } });
        if (object === null) throw new Error(`upload ${key} vanished`);
        return object.bytes();
      },
    });
  }

  #inspectWhole(bytes: Uint8Array): ImageHeader {
    const header = this.#inspect.bytes(bytes, { complete: true });
    if (header === undefined) throw new DeblurError('image_truncated', 'The file ends before its picture does.');
    return header;
  }

  /** There already, and for long enough: an older one is written anew, so that it does not expire under a job. */
  async isFresh(digest: string): Promise<boolean> {
    const found = await this.#bucket.head(sourceKey(digest));
    return found !== null && Date.now() - found.uploaded.getTime() < (SOURCE_RETENTION_SECONDS * 1000) / 2;
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
