/** Pictures that come in: uploads, and what lies at an address. */
import type { ImageHeader } from '@deblur/shared/image-header/index.ts';

/** An upload that has arrived and is hashed; it is kept only when somebody needs it. */
export interface ReceivedSource {
  /** SHA-256 of the bytes, hexadecimal. */
  readonly digest: string;
  readonly bytes: number;
  readonly header: ImageHeader;
  /**
   * Stores it under its digest for the runner; twice is once.
   * @param options `anew`: for its whole retention from now on, however long it has been there
   */
  keep(options?: { readonly anew?: boolean }): Promise<void>;
  /** Removes what was written while it arrived. Never fails, and does nothing after `keep`. */
  discard(): Promise<void>;
}

export interface SourceStore {
  /**
   * Takes an upload in: small ones in memory, larger ones through storage while they are hashed.
   * @throws {DeblurError} `empty_body`, `body_too_large`, and what the header says against it; nothing is left behind
   */
  receive(chunks: AsyncIterable<Uint8Array>): Promise<ReceivedSource>;
  /** The bytes of a kept source; null when it has expired. */
  open(digest: string): Promise<StoredBody | null>;
}

export interface StoredBody {
  readonly size: number;
  readonly body: ReadableStream<Uint8Array>;
  bytes(): Promise<Uint8Array>;
}

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
