/**
 * Pictures by address. The address and that of every redirect pass the URL guard, and the rules of who is called. What a
 * name resolves to is not shown by this runtime: on Cloudflare `fetch` reaches public addresses only; a local run reaches
 * what its machine does.
 */
import { DeblurError } from '@deblur/shared/errors.ts';
import {
  RETRY_AFTER_SECONDS,
  SOURCE_FETCH_RETRY_MS,
  SOURCE_FETCH_TIMEOUT_MS,
  SOURCE_MAX_REDIRECTS,
  SYNC_UPLOAD_MAX_BYTES,
} from '@deblur/shared/limits.ts';
import { checkUrl } from '@deblur/shared/url-guard.ts';
import type { FetchedSource, SourceFetcher } from '../predict/result-ports.ts';

export interface SourceFetcherOptions {
  /** See UrlRules of shared/url-guard.ts. */
  readonly allowOrigins: readonly string[];
  /** Whether a public address is one that we call; asked about redirects too. */
  readonly isAllowed?: (url: URL) => boolean;
  readonly maxBytes?: number;
  readonly timeoutMs?: number;
}

/** Unasked compression would be a second way to make much out of little. */
const HEADERS = {
  Accept: 'image/*, application/octet-stream;q=0.5',
  'Accept-Encoding': 'identity',
  'User-Agent': 'deblur-gateway',
};

const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];

/** Its host may be between two versions of itself; asking for a picture twice is asking once. */
const TEMPORARY: readonly number[] = [502, 503, 504];

export class GuardedSourceFetcher implements SourceFetcher {
  readonly #options: Required<SourceFetcherOptions>;

  constructor(options: SourceFetcherOptions) {
    this.#options = {
      isAllowed: () => true,
      maxBytes: SYNC_UPLOAD_MAX_BYTES,
      timeoutMs: SOURCE_FETCH_TIMEOUT_MS,
      ...options,
    };
  }

  async fetchSource(url: string, signal: AbortSignal): Promise<FetchedSource> {
    const source = await this.#open(url, HEADERS, signal);
    if (source === null) throw failed('The source answered with status 304.');
    return source;
  }

  fetchChangedSource(url: string, etag: string, signal: AbortSignal): Promise<FetchedSource | null> {
    return this.#open(url, { ...HEADERS, 'If-None-Match': etag }, signal);
  }

  /** Null: not modified. */
  async #open(url: string, headers: Record<string, string>, signal: AbortSignal): Promise<FetchedSource | null> {
    const { timeoutMs, maxBytes } = this.#options;
    const timeout = AbortSignal.timeout(timeoutMs);
    const ends = AbortSignal.any([signal, timeout]);
    /** The network's failures in our words. */
    const named = (cause: unknown): Error => {
      if (cause instanceof DeblurError) return cause;
      if (timeout.aborted) return failed(`The source did not arrive within ${timeoutMs / 1000} s.`);
      return failed('The source could not be reached, or it broke off.', cause);
    };
    try {
      const response = await this.#follow(url, headers, ends);
      if (response.status === 304) return null;
      if (Number(response.headers.get('content-length') ?? 0) > maxBytes) {
        await response.body?.cancel();
        throw tooLarge(maxBytes);
      }
      const chunks = boundedChunks(response.body, maxBytes, named);
      return { etag: response.headers.get('etag'), [Symbol.asyncIterator]: () => chunks };
    } catch (error) {
      throw named(error);
    }
  }

  async #follow(address: string, headers: Record<string, string>, signal: AbortSignal): Promise<Response> {
    let url = this.#checked(address);
    for (let redirects = 0; ; redirects++) {
      const response = await fetchTwice(url, { headers, redirect: 'manual', signal });
      const { status } = response;
      if (status === 200 || (status === 304 && 'If-None-Match' in headers)) return response;
      await response.body?.cancel();
      const location = response.headers.get('location');
      if (!REDIRECTS.includes(status) || location === null) throw failed(`The source answered with status ${status}.`);
      if (redirects === SOURCE_MAX_REDIRECTS) throw failed('The source redirects too often.');
      if (!URL.canParse(location, url)) throw failed('The source redirects to something that is no address.');
      url = this.#checked(new URL(location, url).href);
    }
  }

  #checked(address: string): URL {
    const { allowOrigins, isAllowed } = this.#options;
    const { url } = checkUrl(address, { allowOrigins });
    if (isAllowed(url)) return url;
    throw new DeblurError('forbidden', 'Pictures of this host are not taken here.');
  }
}

async function fetchTwice(url: URL, init: RequestInit): Promise<Response> {
  const first = await fetch(url, init).catch((cause: unknown) => {
    if (init.signal?.aborted) throw cause;
    return null;
  });
  if (first !== null && !TEMPORARY.includes(first.status)) return first;
  await first?.body?.cancel();
  await new Promise((resolve) => setTimeout(resolve, SOURCE_FETCH_RETRY_MS));
  return fetch(url, init);
}

async function* boundedChunks(
  body: ReadableStream<Uint8Array> | null,
  maxBytes: number,
  named: (cause: unknown) => Error,
): AsyncGenerator<Uint8Array, void, undefined> {
  let bytes = 0;
  try {
    for await (const chunk of body ?? []) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw tooLarge(maxBytes);
      yield chunk;
    }
  } catch (error) {
    throw named(error);
  }
}

function tooLarge(maxBytes: number): DeblurError {
  return new DeblurError('body_too_large', `The source has more than ${maxBytes} bytes.`);
}

function failed(detail: string, cause?: unknown): DeblurError {
  return new DeblurError('source_fetch_failed', detail, { cause, retryAfterSeconds: RETRY_AFTER_SECONDS });
}
