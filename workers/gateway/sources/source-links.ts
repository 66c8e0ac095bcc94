/** What lies at a source's address: one small record for each, so that a picture that is known is not fetched again. */
import { sha256Hex } from '@deblur/shared/net/digest.ts';
import { SOURCE_LINK_FRESH_SECONDS } from '@deblur/shared/limits.ts';
import type { ReceivedSource } from './ports.ts';
import { SourceChanged, type FetchedSource, type SourceFetcher, type SourceLinks } from './ports.ts';
import { linkKey } from '../bucket-keys.ts';
import type { R2SourceStore } from './source-store.ts';

interface LinkRecord extends Pick<ReceivedSource, 'digest' | 'bytes' | 'header'> {
  readonly etag: string | null;
  /** When the host was last asked, milliseconds since the epoch. */
  readonly checkedAt: number;
}

export class R2SourceLinks implements SourceLinks {
  readonly #bucket: R2Bucket;
  readonly #sources: Pick<R2SourceStore, 'receive' | 'isFresh'>;
  readonly #fetcher: SourceFetcher;

  constructor(bucket: R2Bucket, sources: Pick<R2SourceStore, 'receive' | 'isFresh'>, fetcher: SourceFetcher) {
    this.#bucket = bucket;
    this.#sources = sources;
    this.#fetcher = fetcher;
  }

  async receive(url: string, signal: AbortSignal): Promise<ReceivedSource> {
    const key = linkKey(await sha256Hex(url));
    const known = await this.#read(key);
    const fetchAgain = async () => this.#take(key, await this.#fetcher.fetch(url, signal));
    if (known === null) return fetchAgain();
    const isFresh = Date.now() - known.checkedAt < SOURCE_LINK_FRESH_SECONDS * 1000;
    if (isFresh) return this.#lazily(known, fetchAgain);
    if (known.etag === null) return fetchAgain();
    const changed = await this.#fetcher.fetchChanged(url, known.etag, signal);
    if (changed !== null) return this.#take(key, changed);
    await this.#write(key, { ...known, checkedAt: Date.now() });
    return this.#lazily(known, fetchAgain);
  }

  /** A source whose bytes are here, or can be had once more. */
  #lazily({ digest, bytes, header }: LinkRecord, fetchAgain: () => Promise<ReceivedSource>): ReceivedSource {
    const keep = async (): Promise<void> => {
      if (await this.#sources.isFresh(digest)) return;
      const fetched = await fetchAgain();
      // Also when it is another one: who asks again then finds it here, whatever its host gives the next time.
      await fetched.keep();
      if (fetched.digest !== digest) throw new SourceChanged();
    };
    return { digest, bytes, header, keep, discard: async () => undefined };
  }

  async #take(key: string, fetched: FetchedSource): Promise<ReceivedSource> {
    const source = await this.#sources.receive(fetched);
    const { digest, bytes, header } = source;
    await this.#write(key, { digest, bytes, header, etag: fetched.etag, checkedAt: Date.now() });
    return source;
  }

  async #read(key: string): Promise<LinkRecord | null> {
    const object = await this.#bucket.get(key);
    // Written below, by this version or the one before.
    return object && (await object.json<LinkRecord>());
  }

  async #write(key: string, record: LinkRecord): Promise<void> {
    await this.#bucket.put(key, JSON.stringify(record));
  }
}
