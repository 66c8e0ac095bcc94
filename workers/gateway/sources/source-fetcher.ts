/**
 * Pictures by address. The address and that of every redirect pass the URL guard, and the rules of who is called. What a
 * name resolves to is not shown by this runtime: on Cloudflare `fetch` reaches public addresses only; a local run reaches
 * what its machine does.
 */
import {
  DeblurError,
  hostNotAllowed,
  sourceHostFailed,
  sourceNotFound,
  sourceRedirectsNowhere,
  sourceRedirectsTooOften,
  sourceTimedOut,
  sourceTooLarge,
  sourceUnreachable,
} from '@deblur/shared/protocol/errors.ts';
import {
  RETRY_AFTER_SECONDS,
  SOURCE_FETCH_RETRY_MS,
  SOURCE_FETCH_TIMEOUT_MS,
  SOURCE_MAX_REDIRECTS,
  SOURCE_RETRY_AFTER_MAX_SECONDS,
} from '@deblur/shared/limits.ts';
import { isRedirect, mayPass, parseRetryAfter } from '@deblur/shared/net/http.ts';
import { checkUrl } from '@deblur/shared/net/url-guard.ts';

export interface SourceFetcherOptions {
  /** See UrlRules of shared/net/url-guard.ts. */
  readonly allowOrigins: readonly string[];
  /** Whether a public address is one that we call; asked about redirects too. */
  readonly isAllowed?: (url: URL) => boolean;
  readonly maxBytes: number;
  /** For redirects, second tries and the body together. */
  readonly timeoutMs?: number;
  /** How often a host that stumbles is asked: once where whoever asks comes again by itself. */
  readonly attempts?: number;
}

/** The host learns who calls. Compression is not asked for: it would be a second way to make much out of little. */
const HEADERS = {
  Accept: 'image/*, application/octet-stream;q=0.5',
  'Accept-Encoding': 'identity',
  'User-Agent': 'deblur-gateway',
};

/** A picture under way: SourceStore.receive takes it in. */
export interface FetchedSource extends AsyncIterable<Uint8Array> {
  /** The source's own validator (RFC 9110 § 8.8.3), for asking whether it changed. */
  readonly etag: string | null;
}

export class SourceFetcher {
  readonly #options: Required<SourceFetcherOptions>;

  constructor(options: SourceFetcherOptions) {
    this.#options = { isAllowed: () => true, timeoutMs: SOURCE_FETCH_TIMEOUT_MS, attempts: 2, ...options };
  }

  /**
   * The bytes at an address that a user gave: guarded, bounded in redirects, bytes and time; the signal ends it at any moment.
   * @throws {DeblurError} `malformed_request`, `forbidden`, `body_too_large`, `source_not_found`, `source_fetch_failed`, which
   * is temporary (see isTemporary) when a retry may help; also while the body is read
   */
  async fetch(url: string, signal: AbortSignal): Promise<FetchedSource> {
    const source = await this.#open(url, HEADERS, signal);
    // We sent no validator, so a 304 is a fault of the host.
    if (source === null) throw sourceHostFailed(304, RETRY_AFTER_SECONDS);
    return source;
  }

  /** The same, or null when the source still has this validator. */
  fetchChanged(url: string, etag: string, signal: AbortSignal): Promise<FetchedSource | null> {
    return this.#open(url, { ...HEADERS, 'If-None-Match': etag }, signal);
  }

  /** Null: not modified. */
  async #open(url: string, headers: Record<string, string>, signal: AbortSignal): Promise<FetchedSource | null> {
    const { timeoutMs, maxBytes } = this.#options;
    const timeout = AbortSignal.timeout(timeoutMs);
    const named = (cause: unknown): DeblurError => {
      if (cause instanceof DeblurError) return cause;
      if (timeout.aborted) return sourceTimedOut(timeoutMs / 1000, RETRY_AFTER_SECONDS);
      return sourceUnreachable(RETRY_AFTER_SECONDS, cause);
    };
    try {
      const response = await this.#follow(url, headers, AbortSignal.any([signal, timeout]));
      if (response.status === 304) return null;
      const chunks = boundedChunks(await notTooLong(response, maxBytes), maxBytes, named);
      return { etag: response.headers.get('etag'), [Symbol.asyncIterator]: () => chunks };
    } catch (error) {
      throw named(error);
    }
  }

  /** The answer at the end of all redirects: 200, or 304. */
  async #follow(address: string, headers: Record<string, string>, signal: AbortSignal): Promise<Response> {
    let url = this.#checked(address);
    for (let redirects = 0; ; redirects++) {
      const response = await this.#ask(url, headers, signal);
      const { status } = response;
      if (status === 200 || status === 304) return response;
      await response.body?.cancel();
      const location = response.headers.get('location');
      if (!isRedirect(status) || location === null) throw refusalOf(response);
      if (redirects === SOURCE_MAX_REDIRECTS) throw sourceRedirectsTooOften(SOURCE_MAX_REDIRECTS);
      if (!URL.canParse(location, url)) throw sourceRedirectsNowhere(location);
      url = this.#checked(new URL(location, url).href);
    }
  }

  async #ask(url: URL, headers: Record<string, string>, signal: AbortSignal): Promise<Response> {
    for (let left = this.#options.attempts - 1; ; left--) {
      const response = await fetch(url, { headers, signal, redirect: 'manual' }).catch((cause: unknown) => {
        if (left === 0) throw cause;
        return null;
      });
      if (response !== null && (left === 0 || !mayPass(response.status))) return response;
      await response?.body?.cancel();
      // Ends at once when the signal does, or has.
      await scheduler.wait(SOURCE_FETCH_RETRY_MS, { signal });
    }
  }

  #checked(address: string): URL {
    const { allowOrigins, isAllowed } = this.#options;
    const { url } = checkUrl(address, { allowOrigins });
    if (isAllowed(url)) return url;
    throw hostNotAllowed(url.hostname);
  }
}

/** A body that is announced as too long is not even begun. */
async function notTooLong({ headers, body }: Response, maxBytes: number): Promise<Response['body']> {
  if (!(Number(headers.get('content-length')) > maxBytes)) return body;
  await body?.cancel();
  throw sourceTooLarge(maxBytes);
}

async function* boundedChunks(
  body: Response['body'],
  maxBytes: number,
  named: (cause: unknown) => DeblurError,
): AsyncGenerator<Uint8Array, void, undefined> {
  let bytes = 0;
  try {
    for await (const chunk of body ?? []) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw sourceTooLarge(maxBytes);
      yield chunk;
    }
  } catch (error) {
    throw named(error);
  }
}

/** What an answer that is neither a picture nor a redirect says. */
function refusalOf({ status, headers }: Response): DeblurError {
  if (!mayPass(status)) return sourceNotFound(status);
  const asked = parseRetryAfter(headers.get('retry-after'), Date.now());
  return sourceHostFailed(status, Math.min(asked ?? RETRY_AFTER_SECONDS, SOURCE_RETRY_AFTER_MAX_SECONDS));
}
