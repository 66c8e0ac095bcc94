/** Masters and results in R2: written once, never changed, gone when their retention has passed. */
import { sha256Hex, toHex } from '@deblur/shared/net/digest.ts';
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import { RESULT_RETENTION_SECONDS } from '@deblur/shared/limits.ts';
import { modelNameSchema } from '@deblur/shared/protocol/options.ts';
import { z } from 'zod';
import type { PartsResult, PartsUpload } from './multipart.ts';
import type { ByteRange, ResultKind, ResultMetadata, ResultStore, ResultUpload, StoredResult } from './ports.ts';
import type { StoredBody } from '../sources/ports.ts';
import { storedPlacementSchema } from './ports.ts';
import { partsKey, resultObjectKey } from '../bucket-keys.ts';

const metadataSchema = z.object({
  model: modelNameSchema,
  model_version: z.string(),
  placement: storedPlacementSchema,
});

/** R2's errors for what its caller did; their numbers end its messages. */
const R2_ERRORS = { tooSmall: 10011, noSuchUpload: 10024, noSuchPart: 10025, badDigest: 10037, unequalParts: 10048 };

const UPLOAD_IS_OVER = 'The upload is over.';

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
      if (isR2Error(error, 'badDigest') || (error instanceof Error && /checksum/i.test(error.message))) {
        throw new DeblurError('malformed_request', 'The bytes do not have the announced SHA-256.', { cause: error });
      }
      throw error;
    }
  }

  async beginParts(name: string): Promise<PartsUpload> {
    const { uploadId: id } = await this.#bucket.createMultipartUpload(partsKey(name));
    return { name, id };
  }

  async putPart(upload: PartsUpload, number: number, body: ReadableStream<Uint8Array>): Promise<string> {
    try {
      return (await this.#resume(upload).uploadPart(number, body)).etag;
    } catch (error) {
      throw partsRefusal(error);
    }
  }

  /**
   * What R2 joins has no SHA-256 and takes a key that is taken: so the parts are joined under a key of their own, and copied
   * to the result's as one stream, as if they had come so.
   */
  async completeParts(upload: PartsUpload, { kind, key, etags, metadata, ...described }: PartsResult): Promise<void> {
    if ((await this.head(kind, key)) !== null) return this.abortParts(upload);
    const whole = await this.#join(upload, etags);
    if (whole === null) {
      // An earlier request has copied it meanwhile, or it was dropped.
      if ((await this.head(kind, key)) !== null) return;
      throw new DeblurError('not_found', UPLOAD_IS_OVER);
    }
    try {
      await this.putStream(kind, key, { ...described, body: whole.body }, metadata);
    } catch (error) {
      // What cannot be right will not be asked for again; anything else may be.
      if (error instanceof DeblurError) await this.abortParts(upload);
      throw error;
    }
    await this.abortParts(upload);
  }

  async abortParts(upload: PartsUpload): Promise<void> {
    // Of what is over already there is nothing to abort; what cannot be dropped now goes with the bucket's lifecycle rules.
    await Promise.allSettled([this.#resume(upload).abort(), this.#bucket.delete(partsKey(upload.name))]);
  }

  async delete(kind: ResultKind, key: string): Promise<void> {
    await this.#bucket.delete(resultObjectKey(kind, key));
  }

  #resume({ name, id }: PartsUpload): R2MultipartUpload {
    return this.#bucket.resumeMultipartUpload(partsKey(name), id);
  }

  /** Null when there is nothing, joined or to join. */
  async #join(upload: PartsUpload, etags: readonly string[]): Promise<R2ObjectBody | null> {
    try {
      await this.#resume(upload).complete(etags.map((etag, i) => ({ etag, partNumber: i + 1 })));
    } catch (error) {
      // By an earlier request, perhaps, whose answer was lost.
      if (!isR2Error(error, 'noSuchUpload')) throw partsRefusal(error);
    }
    return this.#bucket.get(partsKey(upload.name));
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

function isR2Error(error: unknown, ...names: readonly (keyof typeof R2_ERRORS)[]): boolean {
  return error instanceof Error && names.some((name) => error.message.includes(`(${R2_ERRORS[name]})`));
}

/** A failure of R2's own stays what it is, and may pass. */
function partsRefusal(error: unknown): unknown {
  if (isR2Error(error, 'noSuchUpload')) return new DeblurError('not_found', UPLOAD_IS_OVER, { cause: error });
  if (!isR2Error(error, 'tooSmall', 'noSuchPart', 'unequalParts')) return error;
  return new DeblurError('malformed_request', 'The parts are not those that came, or not of one size.', {
    cause: error,
  });
}
