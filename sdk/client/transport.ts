/** Requests to one service: its address, its key, and what is sent again when. */
import { DeblurError, errorOf } from './errors.ts';

export interface ClientOptions {
  /** Origin of the service, `https://deblur.example.com`. Without it the environment's DEBLUR_URL, where there is one. */
  readonly server?: string | URL;
  /** API key or visitor token. Without it the environment's DEBLUR_API_KEY, where there is one. */
  readonly apiKey?: string;
  /** How often a request is sent again; 4 by default. */
  readonly maxRetries?: number;
  /** One attempt, upload included, until its answer begins; 300 s by default. */
  readonly requestTimeoutMs?: number;
  /** In place of the runtime's own. */
  readonly fetch?: typeof fetch;
}

export interface ApiRequest {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: BodyInit;
  readonly signal?: AbortSignal | undefined;
  /**
   * `always`: sent again after a lost answer, too, because a repetition changes nothing. `refused`: sent again only when
   * the service said that it did nothing.
   */
  readonly repeat: 'always' | 'refused';
}

const DEFAULT_RETRIES = 4;
const DEFAULT_REQUEST_TIMEOUT_MS = 300_000;
const BACKOFF_MS = 500;
/** A service that wants more patience than this is not waited for: the caller gets the error with its Retry-After. */
const MAX_BACKOFF_MS = 60_000;

const REFUSED = [429, 503];
const REPEATABLE = [408, 500, 502, 504, ...REFUSED];

export class Transport {
  readonly #server: string;
  readonly #apiKey: string | undefined;
  readonly #retries: number;
  readonly #requestTimeoutMs: number;
  readonly #fetch: typeof fetch;

  /** @throws {TypeError} without an address of the service */
  constructor(options: ClientOptions) {
    this.#server = serverOf(options.server ?? environment('DEBLUR_URL'));
    this.#apiKey = options.apiKey ?? environment('DEBLUR_API_KEY');
    this.#retries = options.maxRetries ?? DEFAULT_RETRIES;
    this.#requestTimeoutMs = options.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS;
    const given = options.fetch;
    // Browsers refuse a fetch that is called as a method of something else.
    this.#fetch = given ?? ((input, init) => fetch(input, init));
  }

  /**
   * @param path below the service's origin
   * @returns a successful answer
   * @throws {DeblurError} the last failure, once it is final or the retries are used up; the signal's reason
   */
  call(path: string, request: ApiRequest): Promise<Response> {
    const url = new URL(`${this.#server}${path}`);
    for (const [name, value] of Object.entries(request.query ?? {})) url.searchParams.set(name, value);
    const headers = new Headers(request.headers);
    if (this.#apiKey !== undefined) headers.set('Authorization', `Bearer ${this.#apiKey}`);
    return this.#send(url, headers, request);
  }

  /** Bytes from an address that an answer named. It may lie on another host, so the key is never sent to it. */
  download(address: string, signal: AbortSignal | undefined): Promise<Response> {
    return this.#send(new URL(address), new Headers(), { signal, repeat: 'always' });
  }

  async #send(url: URL, headers: Headers, request: ApiRequest): Promise<Response> {
    for (let attempt = 0; ; attempt++) {
      const outcome = await this.#attempt(url, headers, request);
      if (outcome instanceof Response) return outcome;
      const { error, mayRepeat } = outcome;
      const waitMs = retryDelayMs(attempt, error.retryAfterSeconds);
      if (!mayRepeat || attempt >= this.#retries || waitMs > MAX_BACKOFF_MS) throw error;
      await sleep(waitMs, request.signal);
    }
  }

  async #attempt(url: URL, headers: Headers, request: ApiRequest): Promise<Response | Failure> {
    const { method = 'GET', body, signal, repeat } = request;
    signal?.throwIfAborted();
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(new Error('no answer in time')), this.#requestTimeoutMs);
    // Joined, so that the caller's signal also ends the body of an answer that is being read.
    const joined = signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]);
    try {
      const init = { method, headers, signal: joined, ...(body === undefined ? {} : { body }) };
      const response = await this.#fetch(url, init);
      if (response.ok) return response;
      const error = await errorOf(response, Date.now());
      const statuses = repeat === 'always' ? REPEATABLE : REFUSED;
      const mayRepeat = statuses.includes(error.status ?? 0) || error.code === 'idempotency_conflict';
      return { error, mayRepeat };
    } catch (cause) {
      signal?.throwIfAborted();
      const error = new DeblurError('connection_failed', `${url.origin} did not answer (${reasonOf(cause)}).`, {
        cause,
      });
      return { error, mayRepeat: repeat === 'always' };
    } finally {
      clearTimeout(timer);
    }
  }
}

interface Failure {
  readonly error: DeblurError;
  readonly mayRepeat: boolean;
}

/** 0.5 s, 1 s, 2 s, … with jitter, and no sooner than Retry-After says. */
function retryDelayMs(attempt: number, retryAfterSeconds: number | undefined): number {
  const backoffMs = BACKOFF_MS * 2 ** attempt * (0.5 + Math.random() / 2);
  return Math.max(backoffMs, (retryAfterSeconds ?? 0) * 1000);
}

/** @throws the signal's reason, at once when it is aborted */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      if (signal?.aborted) reject(signal.reason);
      else resolve();
    }
    if (signal?.aborted) done();
    else signal?.addEventListener('abort', done, { once: true });
  });
}

function serverOf(server: string | URL | undefined): string {
  const url = server !== undefined && URL.canParse(server) ? new URL(server) : undefined;
  if (url && /^https?:$/.test(url.protocol)) return url.origin + url.pathname.replace(/\/+$/, '');
  throw new TypeError(
    server === undefined
      ? "deblur needs the address of a service: { server: 'https://…' }, or DEBLUR_URL in the environment"
      : `server must be an http or https address, not "${server}"`,
  );
}

/** Node, Deno and Bun have it; browsers and Workers do not. */
function environment(name: string): string | undefined {
  const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
  return process?.env?.[name] || undefined;
}

/** What a runtime says of a connection that failed; Node puts it into the cause of a bare "fetch failed". */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error && error.cause.message !== '' ? error.cause.message : error.message;
}
