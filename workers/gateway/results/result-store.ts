/**
 * Masters and results in R2: written once, never changed, gone when their retention has passed. Erasing leaves a tombstone
 * for as long as an upload may be under way; every put is conditional, so a late one meets it.
 */
import { sha256Hex, toHex } from '@deblur/shared/net/digest.ts';
import { gone } from '@deblur/shared/protocol/errors.ts';
import { INTERNAL_URL_TTL_SECONDS, RESULT_RETENTION_SECONDS } from '@deblur/shared/limits.ts';
import { resultObjectKey } from '../bucket-keys.ts';
import type { StoredBody } from '../sources/source-store.ts';
import {
  describeObject,
  isTombstone,
  toBucketMetadata,
  tombstoneMetadata,
  type ByteRange,
  type ErasedResult,
  type ResultKind,
  type ResultMetadata,
  type StoredResult,
} from './stored-result.ts';

export interface ResultUpload {
  readonly body: ReadableStream<Uint8Array>;
  readonly contentType: string;
  readonly sha256: Uint8Array;
}

/** Equal keys mean equal bytes: the first writer stays, and a second one changes nothing that was cached meanwhile. */
const UNLESS_TAKEN = { etagDoesNotMatch: '*' };

export class ResultStore {
  readonly #bucket: R2Bucket;

  constructor(bucket: R2Bucket) {
    this.#bucket = bucket;
  }

  /** Null when the key is unknown or its retention has passed. */
  async head(kind: ResultKind, key: string): Promise<StoredResult | ErasedResult | null> {
    const object = await this.#bucket.head(resultObjectKey(kind, key));
    return object && this.#describe(key, object);
  }

  async get(
    kind: ResultKind,
    key: string,
    range?: ByteRange,
  ): Promise<(StoredResult & StoredBody) | ErasedResult | null> {
    const part = range && { range: { offset: range.first, length: range.last - range.first + 1 } };
    const object = await this.#bucket.get(resultObjectKey(kind, key), part);
    if (object === null) return null;
    const found = await this.#describe(key, object);
    if (found?.kind === 'stored') return { ...found, body: object.body, bytes: () => object.bytes() };
    await object.body.cancel();
    return found;
  }

  /** Stores unless the key is taken: the first stays. @throws {DeblurError} `gone` when it was erased */
  async put(
    kind: ResultKind,
    key: string,
    bytes: Uint8Array,
    contentType: string,
    metadata: ResultMetadata,
  ): Promise<void> {
    await this.#put(kind, key, bytes, { contentType, metadata, sha256: await sha256Hex(bytes) });
  }

  /** The same from a stream of known length, whose SHA-256 R2 checks. @throws R2's error when it is another one */
  async putStream(kind: ResultKind, key: string, upload: ResultUpload, metadata: ResultMetadata): Promise<void> {
    const { body, contentType, sha256 } = upload;
    await this.#put(kind, key, body, { contentType, metadata, sha256: toHex(sha256) });
  }

  /** Puts a tombstone in the picture's place. */
  async erase(kind: ResultKind, key: string, scope: string): Promise<void> {
    await this.#bucket.put(resultObjectKey(kind, key), new Uint8Array(0), { customMetadata: tombstoneMetadata(scope) });
  }

  /** Takes back an erasure that came before a new request; a later erasure stays. */
  async unerase(kind: ResultKind, key: string, version: string): Promise<void> {
    const found = await this.head(kind, key);
    if (found?.kind === 'erased' && found.version === version) await this.#bucket.delete(resultObjectKey(kind, key));
  }

  async #put(
    kind: ResultKind,
    key: string,
    body: Uint8Array | ReadableStream<Uint8Array>,
    { contentType, metadata, sha256 }: { contentType: string; metadata: ResultMetadata; sha256: string },
  ): Promise<void> {
    const put = await this.#bucket.put(resultObjectKey(kind, key), body, {
      onlyIf: UNLESS_TAKEN,
      sha256,
      httpMetadata: { contentType },
      customMetadata: toBucketMetadata(metadata),
    });
    if (put === null && (await this.head(kind, key))?.kind === 'erased') throw gone('result');
  }

  /** Null, and deleted, once its time is over: the lifecycle rule runs once a day, and keys must be free before. */
  async #describe(key: string, object: R2Object): Promise<StoredResult | ErasedResult | null> {
    const found = describeObject(key, object);
    const seconds = isTombstone(object) ? INTERNAL_URL_TTL_SECONDS : RESULT_RETENTION_SECONDS;
    if (found !== null && Date.now() - object.uploaded.getTime() < seconds * 1000) return found;
    await this.#bucket.delete(object.key);
    return null;
  }
}
