/** Masters and results that a runner hands back: in one request, or in parts when one request may not carry them. */
import { HeaderIncomplete, readImageHeader } from '@deblur/shared/image-header/index.ts';
import { METADATA_BLOCK_MAX_BYTES } from '@deblur/shared/limits.ts';
import { concat } from '@deblur/shared/metadata/bytes.ts';
import { DeblurError, emptyPicture, notFound, uploadMalformed } from '@deblur/shared/protocol/errors.ts';
import { partsKey } from '../bucket-keys.ts';
import type { ResultStore, ResultUpload } from './result-store.ts';
import type { ResultKind, ResultMetadata } from './stored-result.ts';

/** What a runner may store: one picture, under one key. */
export interface UploadGrant {
  readonly kind: ResultKind;
  readonly key: string;
  readonly contentType: string;
  readonly metadata: ResultMetadata;
}

/** An upload in parts that has begun. */
export interface PartsUpload {
  /** A digest, under which the parts gather. */
  readonly name: string;
  readonly id: string;
}

/** The end of an upload in parts: `etags` of the parts from the first to the last, and the digest of the whole. */
export interface PartsEnd {
  readonly etags: readonly string[];
  readonly sha256: Uint8Array;
}

/** R2's errors for faults of its caller; their numbers end its messages. */
const R2_ERRORS = { tooSmall: 10011, noSuchUpload: 10024, noSuchPart: 10025, badDigest: 10037, unequalParts: 10048 };

/** A JPEG's size stands behind its metadata: three blocks, and the markers between them. */
const HEADER_MAX_BYTES = 3 * METADATA_BLOCK_MAX_BYTES + 64 * 1024;

export class RunnerUploads {
  readonly #bucket: R2Bucket;
  readonly #results: ResultStore;

  constructor(bucket: R2Bucket, results: ResultStore) {
    this.#bucket = bucket;
    this.#results = results;
  }

  /**
   * Stores a picture; twice is once.
   * @param length of the body, in bytes
   * @throws {DeblurError} `empty_body`, `malformed_request` when the bytes are not what was granted or announced, `gone`
   */
  async put(grant: UploadGrant, { body, sha256 }: Omit<ResultUpload, 'contentType'>, length: number): Promise<void> {
    if (length === 0) throw emptyPicture();
    const { kind, key, contentType, metadata } = grant;
    const checked = await assertGranted(grant, body, length);
    try {
      await this.#results.putStream(kind, key, { body: checked, contentType, sha256 }, metadata);
    } catch (error) {
      if (isR2Error(error, 'badDigest') || (error instanceof Error && /checksum/i.test(error.message))) {
        throw uploadMalformed('digest', error);
      }
      throw error;
    }
  }

  /** Begins an upload whose parts are all of one size, but for the last. R2 drops it after a day. */
  async beginParts(name: string): Promise<PartsUpload> {
    const { uploadId: id } = await this.#bucket.createMultipartUpload(partsKey(name));
    return { name, id };
  }

  /** Takes a part, in place of an earlier one of that number. @returns its ETag @throws {DeblurError} `not_found` */
  async putPart(upload: PartsUpload, number: number, body: ReadableStream<Uint8Array>): Promise<string> {
    try {
      return (await this.#resume(upload).uploadPart(number, body)).etag;
    } catch (error) {
      throw partsRefusal(error);
    }
  }

  /**
   * Joins the parts and stores them as `put` does; twice is once. R2 gives no SHA-256 of what it joins, and joins over a
   * key that is taken: so the parts are joined under a key of their own, and copied to the picture's as one stream.
   */
  async completeParts(upload: PartsUpload, grant: UploadGrant, { etags, sha256 }: PartsEnd): Promise<void> {
    const { kind, key } = grant;
    if ((await this.#results.head(kind, key))?.kind === 'stored') return this.abortParts(upload);
    const whole = await this.#join(upload, etags);
    if (whole === null) {
      // An earlier request has copied it meanwhile, or it was dropped.
      if ((await this.#results.head(kind, key))?.kind === 'stored') return;
      throw notFound('upload');
    }
    try {
      await this.put(grant, { body: whole.body, sha256 }, whole.size);
    } catch (error) {
      // A refused upload is not sent again as it is; after another failure it may be.
      if (error instanceof DeblurError) await this.abortParts(upload);
      throw error;
    }
    await this.abortParts(upload);
  }

  /** Drops the parts; twice is once. Parts that cannot be dropped now go with the bucket's lifecycle rules. */
  async abortParts(upload: PartsUpload): Promise<void> {
    await Promise.allSettled([this.#resume(upload).abort(), this.#bucket.delete(partsKey(upload.name))]);
  }

  #resume({ name, id }: PartsUpload): R2MultipartUpload {
    return this.#bucket.resumeMultipartUpload(partsKey(name), id);
  }

  /** Null when there is nothing, joined or to join. */
  async #join(upload: PartsUpload, etags: readonly string[]): Promise<R2ObjectBody | null> {
    try {
      await this.#resume(upload).complete(etags.map((etag, i) => ({ etag, partNumber: i + 1 })));
    } catch (error) {
      // An earlier request, whose answer was lost, may have joined them.
      if (!isR2Error(error, 'noSuchUpload')) throw partsRefusal(error);
    }
    return this.#bucket.get(partsKey(upload.name));
  }
}

/** The same bytes, once their beginning has shown a picture of the granted type and size. */
async function assertGranted(
  { contentType, metadata: { restoration } }: UploadGrant,
  body: ReadableStream<Uint8Array>,
  length: number,
): Promise<ReadableStream<Uint8Array>> {
  if (restoration === null) return body;
  const reader = body.getReader();
  let beginning: Uint8Array = new Uint8Array(0);
  for (let header; header === undefined;) {
    const { value, done } = await reader.read();
    beginning = value === undefined ? beginning : concat([beginning, value]);
    header = headerOf(beginning, done);
    if (header === null || (header === undefined && beginning.length > HEADER_MAX_BYTES)) return refuse(reader);
    if (header === undefined) continue;
    const sides = [header.width, header.height].sort((a, b) => a - b).join();
    const granted = [restoration.width, restoration.height].sort((a, b) => a - b).join();
    if (`image/${header.format}` !== contentType || sides !== granted) return refuse(reader);
  }
  reader.releaseLock();
  return replay(beginning, body, length);
}

/** Undefined: more bytes are needed. Null: it is no picture. */
function headerOf(bytes: Uint8Array, complete: boolean) {
  try {
    return readImageHeader(bytes, { complete });
  } catch (error) {
    return error instanceof HeaderIncomplete ? undefined : null;
  }
}

/** R2 takes streams of known length only. */
function replay(beginning: Uint8Array, rest: ReadableStream<Uint8Array>, length: number): ReadableStream<Uint8Array> {
  const { readable, writable } = new FixedLengthStream(length);
  const writer = writable.getWriter();
  const written = writer.write(beginning).then(() => {
    writer.releaseLock();
    return rest.pipeTo(writable);
  });
  // The reader of the other side sees the failure.
  written.catch(() => undefined);
  return readable;
}

async function refuse(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<never> {
  await reader.cancel().catch(() => undefined);
  throw uploadMalformed('picture');
}

function isR2Error(error: unknown, ...names: readonly (keyof typeof R2_ERRORS)[]): boolean {
  return error instanceof Error && names.some((name) => error.message.includes(`(${R2_ERRORS[name]})`));
}

/** R2's own failure stays what it is, and may pass. */
function partsRefusal(error: unknown): unknown {
  if (isR2Error(error, 'noSuchUpload')) return notFound('upload');
  return isR2Error(error, 'tooSmall', 'noSuchPart', 'unequalParts') ? uploadMalformed('parts', error) : error;
}
