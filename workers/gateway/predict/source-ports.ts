/** Pictures by address: what fetching them and remembering them needs of the world. `store/` implements these. */
import type { ReceivedSource } from './ports.ts';

/** Judges an address that a user gave, without calling it. @throws {DeblurError} `forbidden`, `malformed_request` */
export type CheckUrl = (url: string) => void;

/** A picture under way: SourceStore.receive takes it in. */
export interface FetchedSource extends AsyncIterable<Uint8Array> {
  /** The source's own validator (RFC 9110 § 8.8.3), for asking whether it changed. */
  readonly etag: string | null;
}

export interface SourceFetcher {
  /**
   * The bytes at an address that a user gave: guarded, bounded in redirects, bytes and time; the signal ends it at any moment.
   * @throws {DeblurError} `malformed_request`, `forbidden`, `body_too_large`, `source_fetch_failed`, which is temporary (see
   * isTemporary) when asking again may help; also while it is read
   */
  fetch(url: string, signal: AbortSignal): Promise<FetchedSource>;
  /** The same, or null when the source still has this validator. */
  fetchChanged(url: string, etag: string, signal: AbortSignal): Promise<FetchedSource | null>;
}

export interface SourceLinks {
  /**
   * The picture at an address; fetched only when it is not known what was there a moment ago, and, if it is known, again
   * only when somebody needs its bytes and they are gone.
   * @throws {DeblurError} as the fetcher and the source store do; {SourceChanged} from `keep`
   */
  receive(url: string, signal: AbortSignal): Promise<ReceivedSource>;
}

/** The address leads to other bytes than a moment ago: ask again. */
export class SourceChanged extends Error {
  override readonly name = 'SourceChanged';
}
