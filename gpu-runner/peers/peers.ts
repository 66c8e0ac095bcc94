/**
 * The other runners behind the same address. A prediction is known to the one process that took it; what is asked about it
 * and reaches another one is passed on, so that a proxy may spread requests as it likes.
 */
import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { networkInterfaces } from 'node:os';
import { Agent, request, type Dispatcher } from 'undici';
import { abortable } from '../threads/abortable.ts';
import { FROM_PEER_HEADER } from '../http/predictions.ts';
import { PEER_TIMEOUT_MS } from '../limits.ts';
import type { Log } from '../ops/log.ts';

export interface PeersOptions {
  /** Names or addresses; every address that a name leads to is a runner. */
  readonly names: readonly string[];
  /** That this runner listens on itself. */
  readonly host: string;
  /** The same for all of them. */
  readonly port: number;
  /** The same for all of them. */
  readonly token: string | undefined;
  readonly log: Log;
}

/** Who knows a prediction: an origin, nobody, or nobody of those that answered. */
export type Owner = { readonly origin: string } | 'nobody' | 'unsure';

export class Peers {
  readonly #options: PeersOptions;
  /** Inside the cluster: who does not answer at once is gone. */
  readonly #agent = new Agent({ connect: { timeout: PEER_TIMEOUT_MS }, headersTimeout: 0, bodyTimeout: 0 });

  constructor(options: PeersOptions) {
    this.#options = options;
  }

  /** Asks all of them at once. Never rejects. */
  async ownerOf(id: string, method: string): Promise<Owner> {
    const { origins, complete } = await this.#origins();
    const answers = await Promise.all(origins.map((origin) => this.#knows(origin, id, method)));
    const owner = origins.find((_, i) => answers[i] === true);
    if (owner !== undefined) return { origin: owner };
    return complete && !answers.includes(undefined) ? 'nobody' : 'unsure';
  }

  /**
   * The same request to the one that knows its prediction.
   * @throws {Error} network failures as they are; the signal's reason
   */
  pass(
    origin: string,
    path: string,
    { headers, ...options }: Pick<Dispatcher.RequestOptions, 'method' | 'body' | 'signal'> & PeerHeaders,
  ): Promise<Dispatcher.ResponseData> {
    return request(origin + path, { ...options, headers: { ...this.#headers, ...headers }, dispatcher: this.#agent });
  }

  /** @returns undefined when it did not answer */
  async #knows(origin: string, id: string, asked: string): Promise<boolean | undefined> {
    try {
      const signal = AbortSignal.timeout(PEER_TIMEOUT_MS);
      const headers = { [FROM_PEER_HEADER]: asked };
      const { statusCode, body } = await this.pass(origin, `/predictions/${id}`, { method: 'HEAD', headers, signal });
      await body.dump();
      return statusCode === 200 ? true : statusCode === 404 ? false : undefined;
    } catch {
      return undefined;
    }
  }

  async #origins(): Promise<{ readonly origins: readonly string[]; readonly complete: boolean }> {
    const { names, host, port, log } = this.#options;
    const found = await Promise.allSettled(names.map(addressesOf));
    const failed = found.find(({ status }) => status === 'rejected');
    if (failed !== undefined) log.error('peers_not_resolved', (failed as PromiseRejectedResult).reason);
    const own = ownAddresses(host);
    const all = found.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
    const origins = all
      .filter(({ address }) => !own.has(address))
      .map(({ address, family }) => `http://${family === 6 ? `[${address}]` : address}:${port}`);
    return { origins: [...new Set(origins)], complete: failed === undefined };
  }

  get #headers(): Readonly<Record<string, string>> {
    const { token } = this.#options;
    return { [FROM_PEER_HEADER]: 'passed', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
  }
}

interface PeerHeaders {
  readonly headers?: Readonly<Record<string, string>>;
}

/** @throws {Error} when its name server does not know it, or does not answer in time */
function addressesOf(name: string): Promise<LookupAddress[]> {
  return abortable(lookup(name.replace(/^\[|\]$/g, ''), { all: true }), AbortSignal.timeout(PEER_TIMEOUT_MS));
}

/** @param host one address, or that of any interface */
function ownAddresses(host: string): ReadonlySet<string> {
  if (host !== '0.0.0.0' && host !== '::') return new Set([host]);
  return new Set(Object.values(networkInterfaces()).flatMap((all = []) => all.map(({ address }) => address)));
}
