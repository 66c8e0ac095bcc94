/**
 * What lies at the address of an image link: one small record for each, so that a picture that is known is not fetched
 * again, and a failure is not asked for again within a minute. Requests of one isolate share one fetch of an address.
 */
import { sha256Hex } from '@deblur/shared/net/digest.ts';
import {
  LINK_FAILURE_SECONDS,
  LINK_JOIN_POLL_MS,
  SOURCE_FETCH_TIMEOUT_MS,
  SOURCE_LINK_FRESH_SECONDS,
} from '@deblur/shared/limits.ts';
import { DeblurError, fromWireError, toWireError, type WireError } from '@deblur/shared/protocol/errors.ts';
import { linkKey } from '../bucket-keys.ts';
import type { FetchedSource, SourceFetcher } from './source-fetcher.ts';
import type { ReceivedSource, SourceStore } from './source-store.ts';

/** The address leads to other bytes than a moment ago: receive it again. */
export class SourceChanged extends Error {
  override readonly name = 'SourceChanged';
}

interface KnownSource extends Pick<ReceivedSource, 'digest' | 'bytes' | 'header'> {
  readonly failure?: undefined;
  readonly etag: string | null;
  /** When the host was last asked, milliseconds since the epoch. */
  readonly checkedAt: number;
}

interface KnownFailure {
  readonly failure: WireError & { readonly retryAfterSeconds?: number | undefined };
  readonly checkedAt: number;
}

const isYoungerThan = (seconds: number, { checkedAt }: { readonly checkedAt: number }): boolean =>
  Date.now() - checkedAt < seconds * 1000;

export class SourceLinks {
  readonly #bucket: R2Bucket;
  readonly #sources: SourceStore;
  readonly #fetcher: SourceFetcher;
  /** By key of the record: when a request of this isolate began to fetch. A promise could not be shared between requests. */
  readonly #fetching = new Map<string, number>();

  constructor(bucket: R2Bucket, sources: SourceStore, fetcher: SourceFetcher) {
    this.#bucket = bucket;
    this.#sources = sources;
    this.#fetcher = fetcher;
  }

  /**
   * The picture at an address; it is fetched only when the record is missing or too old, and, if the picture is known, again
   * only when somebody needs its bytes and they are gone.
   * @throws {DeblurError} as the fetcher and the source store do; {SourceChanged} from `keep`
   */
  async receive(url: string, signal: AbortSignal): Promise<ReceivedSource> {
    const key = linkKey(await sha256Hex(url));
    for (;;) {
      const record = await this.#read(key);
      if (record?.failure !== undefined && isYoungerThan(LINK_FAILURE_SECONDS, record)) {
        throw fromWireError(record.failure, { retryAfterSeconds: record.failure.retryAfterSeconds });
      }
      const known = record?.failure === undefined ? record : null;
      if (known !== null && isYoungerThan(SOURCE_LINK_FRESH_SECONDS, known))
        return this.#lazily(known, key, url, signal);
      if (!this.#isFetching(key)) return this.#fetch(key, url, known, signal);
      await scheduler.wait(LINK_JOIN_POLL_MS, { signal });
    }
  }

  /** A request that was cut off in the middle is not waited for for ever. */
  #isFetching(key: string): boolean {
    return Date.now() - (this.#fetching.get(key) ?? 0) < SOURCE_FETCH_TIMEOUT_MS;
  }

  /** Others of this isolate wait until the source is kept or discarded, so that they find its bytes. */
  async #fetch(key: string, url: string, known: KnownSource | null, signal: AbortSignal): Promise<ReceivedSource> {
    this.#fetching.set(key, Date.now());
    const done = (): void => void this.#fetching.delete(key);
    try {
      const source = await this.#fetchChanged(key, url, known, signal);
      return {
        ...source,
        keep: (scope) => source.keep(scope).finally(done),
        discard: () => source.discard().finally(done),
      };
    } catch (error) {
      done();
      throw error;
    }
  }

  async #fetchChanged(
    key: string,
    url: string,
    known: KnownSource | null,
    signal: AbortSignal,
  ): Promise<ReceivedSource> {
    const etag = known?.etag ?? null;
    if (known === null || etag === null) return this.#take(key, () => this.#fetcher.fetch(url, signal));
    const changed = await this.#noted(key, () => this.#fetcher.fetchChanged(url, etag, signal));
    if (changed !== null) return this.#take(key, async () => changed);
    await this.#write(key, { ...known, checkedAt: Date.now() });
    return this.#lazily(known, key, url, signal);
  }

  /** A source whose bytes are here, or can be fetched again. */
  #lazily({ digest, bytes, header }: KnownSource, key: string, url: string, signal: AbortSignal): ReceivedSource {
    const keep = async (scope: string): Promise<void> => {
      if (await this.#sources.isFresh(scope, digest)) return;
      const fetched = await this.#take(key, () => this.#fetcher.fetch(url, signal));
      // Also when it is another picture: the next attempt then finds it here, whatever its host gives the next time.
      await fetched.keep(scope);
      if (fetched.digest !== digest) throw new SourceChanged();
    };
    return { digest, bytes, header, keep, discard: async () => undefined };
  }

  #take(key: string, fetch: () => Promise<FetchedSource>): Promise<ReceivedSource> {
    return this.#noted(key, async () => {
      const fetched = await fetch();
      const source = await this.#sources.receive(fetched);
      const { digest, bytes, header } = source;
      await this.#write(key, { digest, bytes, header, etag: fetched.etag, checkedAt: Date.now() });
      return source;
    });
  }

  /** Remembers why a fetch failed. */
  async #noted<T>(key: string, fetch: () => Promise<T>): Promise<T> {
    try {
      return await fetch();
    } catch (error) {
      if (error instanceof DeblurError) {
        const failure = { ...toWireError(error), retryAfterSeconds: error.retryAfterSeconds };
        await this.#write(key, { failure, checkedAt: Date.now() });
      }
      throw error;
    }
  }

  async #read(key: string): Promise<KnownSource | KnownFailure | null> {
    const object = await this.#bucket.get(key);
    return object && (await object.json<KnownSource | KnownFailure>());
  }

  async #write(key: string, record: KnownSource | KnownFailure): Promise<void> {
    await this.#bucket.put(key, JSON.stringify(record));
  }
}
