/**
 * Sources by address. Every address, that of each redirect too, passes the URL guard. What a name resolves to is not
 * shown by this runtime: on Cloudflare a Worker's fetch reaches public addresses only, in local mode it reaches whatever
 * the machine does, and the guard refuses literal addresses and internal names.
 */
import { DeblurError } from '@deblur/shared/errors.ts';
import {
  ASYNC_UPLOAD_MAX_BYTES,
  RETRY_AFTER_SECONDS,
  SOURCE_FETCH_TIMEOUT_MS,
  SOURCE_MAX_REDIRECTS,
} from '@deblur/shared/limits.ts';
import { checkUrl, type UrlRules } from '@deblur/shared/url-guard.ts';
import type { ReceivedSource, SourceStore } from '../predict/ports.ts';
import type { SourceFetcher } from '../predict/prediction-ports.ts';

/** Whoever is asked knows by whom. */
const HEADERS = { Accept: 'image/*, application/octet-stream;q=0.5', 'User-Agent': 'deblur-gateway' };

export class GuardedSourceFetcher implements SourceFetcher {
  readonly #sources: SourceStore;
  readonly #rules: UrlRules;
  readonly #timeoutMs: number;

  constructor(sources: SourceStore, rules: UrlRules, timeoutMs = SOURCE_FETCH_TIMEOUT_MS) {
    this.#sources = sources;
    this.#rules = rules;
    this.#timeoutMs = timeoutMs;
  }

  async fetch(url: string, signal?: AbortSignal): Promise<ReceivedSource> {
    const timeout = AbortSignal.timeout(this.#timeoutMs);
    const either = signal === undefined ? timeout : AbortSignal.any([timeout, signal]);
    try {
      const body = await this.#follow(url, either);
      return await this.#sources.receive(chunksOf(body));
    } catch (error) {
      if (error instanceof DeblurError) throw error;
      if (timeout.aborted) throw temporary(`It did not arrive within ${this.#timeoutMs / 1000} s.`);
      throw temporary('It could not be reached, or it broke off.', error);
    }
  }

  async #follow(address: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    let { url } = checkUrl(address, this.#rules);
    for (let redirects = 0; ; redirects++) {
      const response = await fetch(url, { headers: HEADERS, redirect: 'manual', signal });
      if (response.ok && response.body !== null) return announced(response, response.body);
      await response.body?.cancel();
      const location = response.headers.get('location');
      if (response.status < 300 || response.status > 399 || location === null) throw refusedWith(response.status);
      if (redirects === SOURCE_MAX_REDIRECTS) throw failed('It redirects too often.');
      if (!URL.canParse(location, url)) throw failed('It redirects to something that is not an address.');
      ({ url } = checkUrl(new URL(location, url).href, this.#rules));
    }
  }
}

/** A body that is announced as too long is not even begun. */
async function announced(response: Response, body: ReadableStream<Uint8Array>): Promise<ReadableStream<Uint8Array>> {
  if (!(Number(response.headers.get('content-length') ?? 0) > ASYNC_UPLOAD_MAX_BYTES)) return body;
  await body.cancel();
  throw tooLarge();
}

async function* chunksOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > ASYNC_UPLOAD_MAX_BYTES) throw tooLarge();
    yield chunk;
  }
}

function tooLarge(): DeblurError {
  return new DeblurError('body_too_large', `At most ${ASYNC_UPLOAD_MAX_BYTES} bytes are fetched.`);
}

function refusedWith(status: number): DeblurError {
  const detail = `Its host answered ${status}.`;
  return status === 408 || status === 429 || status >= 500 ? temporary(detail) : failed(detail);
}

const failed = (detail: string): DeblurError => new DeblurError('source_fetch_failed', detail);

/** `retryAfterSeconds`: the same address may be asked again. */
function temporary(detail: string, cause?: unknown): DeblurError {
  return new DeblurError('source_fetch_failed', detail, { cause, retryAfterSeconds: RETRY_AFTER_SECONDS });
}
