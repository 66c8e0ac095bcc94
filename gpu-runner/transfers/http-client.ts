/**
 * Calls to addresses that a user named. The URL is judged by its text, and what its name resolves to is judged in the
 * socket's own look-up: the address that was checked is the one that is dialled, whatever the name server says next.
 */
import type { LookupAddress } from 'node:dns';
import { lookup as dnsLookup } from 'node:dns/promises';
import type { LookupFunction } from 'node:net';
import { Agent, request, type Dispatcher } from 'undici';
import { nameNotPublic } from '@deblur/shared/protocol/errors.ts';
import { checkUrl, isGlobalAddress, type CheckedUrl } from '@deblur/shared/net/url-guard.ts';
import { CONNECT_TIMEOUT_MS, TRANSFER_TIMEOUT_MS } from '../limits.ts';

export type Resolve = (hostname: string) => Promise<readonly LookupAddress[]>;

export interface HttpClientOptions {
  readonly allowOrigins: readonly string[];
  /** Replaced in tests. */
  readonly resolve?: Resolve;
}

export interface HttpRequest {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  readonly signal: AbortSignal;
}

export class HttpClient {
  readonly #allowOrigins: readonly string[];
  readonly #guarded: Agent;
  readonly #trusted: Agent;

  constructor({ allowOrigins, resolve = resolveAll }: HttpClientOptions) {
    const timeouts = { headersTimeout: TRANSFER_TIMEOUT_MS, bodyTimeout: TRANSFER_TIMEOUT_MS };
    this.#allowOrigins = allowOrigins;
    this.#guarded = new Agent({
      ...timeouts,
      connect: { timeout: CONNECT_TIMEOUT_MS, lookup: guardedLookup(resolve) },
    });
    this.#trusted = new Agent({ ...timeouts, connect: { timeout: CONNECT_TIMEOUT_MS } });
  }

  /** @throws {DeblurError} `malformed_request`, `forbidden`: see checkUrl */
  check(url: string): CheckedUrl {
    return checkUrl(url, { allowOrigins: this.#allowOrigins });
  }

  /**
   * One request; redirects are answers like any other, and the caller judges where they lead by calling again.
   * @throws {DeblurError} `malformed_request`, `forbidden`: see checkUrl, and for names that resolve to no public address
   * @throws {Error} network failures as they are; the signal's reason
   */
  request(url: string, { method, headers = {}, body, signal }: HttpRequest): Promise<Dispatcher.ResponseData> {
    const checked = this.check(url);
    const dispatcher = checked.trusted ? this.#trusted : this.#guarded;
    return request(checked.url, { method, headers, body: body ?? null, signal, dispatcher });
  }

  async close(): Promise<void> {
    await Promise.all([this.#guarded.destroy(), this.#trusted.destroy()]);
  }
}

function resolveAll(hostname: string): Promise<readonly LookupAddress[]> {
  return dnsLookup(hostname, { all: true });
}

/** Refuses a name with any address that is not public: a mixed answer is an attempt. */
function guardedLookup(resolve: Resolve): LookupFunction {
  return (hostname, options, callback) => {
    const answer = (addresses: readonly LookupAddress[]): void => {
      const [first] = addresses;
      if (first === undefined || !addresses.every(({ address }) => isGlobalAddress(address))) {
        callback(nameNotPublic(), '', 0);
      } else if (options.all === true) {
        callback(null, [...addresses]);
      } else {
        callback(null, first.address, first.family);
      }
    };
    resolve(hostname).then(answer, (error: Error) => callback(error, '', 0));
  };
}
