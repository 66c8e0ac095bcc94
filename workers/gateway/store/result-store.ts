/** Masters and results in R2: written once, never changed, gone when their retention has passed. */
import { sha256Hex, toHex } from '@deblur/shared/digest.ts';
import { DeblurError } from '@deblur/shared/errors.ts';
import { RESULT_RETENTION_SECONDS } from '@deblur/shared/limits.ts';
import { MODEL_NAMES } from '@deblur/shared/options.ts';
import { z } from 'zod';
import type {
  ByteRange,
  ResultKind,
  ResultMetadata,
  ResultStore,
  ResultUpload,
  StoredBody,
  StoredResult,
} from '../predict/ports.ts';
import { resultObjectKey } from './keys.ts';

const metadataSchema = z.object({
  model: z.enum(MODEL_NAMES),
  model_version: z.string(),
  placement: z.enum(['edge', 'gpu']),
});

/** Equal keys mean equal bytes: the first writer stays, and a second one changes nothing that was cached meanwhile. */
const UNLESS_TAKEN = { etagDoesNotMatch: '*' };

export class R2ResultStore implements ResultStore {
  readonly #bucket: R2Bucket;

  constructor(bucket: R2Bucket) {
    this.#bucket = bucket;
  }

  async head(kind: ResultKind, key: string): Promise<StoredResult | null> {
    const object = await this.#bucket.head(resultObjectKey(kind, key));
    return object && this.#describe(key, object);
  }

  async get(kind: ResultKind, key: string, range?: ByteRange): Promise<(StoredResult & StoredBody) | null> {
    const part = range && { range: { offset: range.first, length: range.last - range.first + 1 } };
    const object = await this.#bucket.get(resultObjectKey(kind, key), part);
    const stored = object && (await this.#describe(key, object));
    return stored && object && { ...stored, body: object.body, bytes: () => object.bytes() };
  }

  async put(
    kind: ResultKind,
    key: string,
    bytes: Uint8Array,
    contentType: string,
    metadata: ResultMetadata,
  ): Promise<void> {
    const sha256 = await sha256Hex(bytes);
    await this.#bucket.put(resultObjectKey(kind, key), bytes, putOptions(sha256, contentType, metadata));
  }

  async putStream(kind: ResultKind, key: string, upload: ResultUpload, metadata: ResultMetadata): Promise<void> {
    const { body, contentType, sha256 } = upload;
    const options = putOptions(toHex(sha256), contentType, metadata);
    try {
      await this.#bucket.put(resultObjectKey(kind, key), body, options);
    } catch (error) {
      // R2's error 10037, BadDigest.
      if (error instanceof Error && /10037|checksum/i.test(error.message)) {
        throw new DeblurError('malformed_request', 'The bytes do not have the announced SHA-256.', { cause: error });
      }
      throw error;
    }
  }

  async delete(kind: ResultKind, key: string): Promise<void> {
    await this.#bucket.delete(resultObjectKey(kind, key));
  }

  /** Null, and deleted, when it is older than its retention: the lifecycle rule runs once a day, keys must be free before. */
  async #describe(key: string, object: R2Object): Promise<StoredResult | null> {
    const metadata = metadataSchema.safeParse(object.customMetadata);
    const { sha256 } = object.checksums;
    const expired = Date.now() - object.uploaded.getTime() >= RESULT_RETENTION_SECONDS * 1000;
    if (expired || !metadata.success || sha256 === undefined) {
      await this.#bucket.delete(object.key);
      return null;
    }
    const { model, model_version: modelVersion, placement } = metadata.data;
    return {
      key,
      size: object.size,
      contentType: object.httpMetadata?.contentType ?? 'application/octet-stream',
      sha256: new Uint8Array(sha256),
      storedAt: object.uploaded,
      model,
      modelVersion,
      placement,
    };
  }
}

function putOptions(sha256: string, contentType: string, metadata: ResultMetadata): R2PutOptions {
  const { model, modelVersion, placement } = metadata;
  return {
    onlyIf: UNLESS_TAKEN,
    sha256,
    httpMetadata: { contentType },
    customMetadata: { model, model_version: modelVersion, placement } satisfies z.input<typeof metadataSchema>,
  };
}
