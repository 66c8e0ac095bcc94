/** Cloudflare's cache in all data centres, by its API: "Purge cached content by tag". */
import { PURGE_TIMEOUT_MS } from '@deblur/shared/limits.ts';

/** Caches that lie in front of us everywhere; entries carry their tags in `Cache-Tag`. */
export interface CachePurge {
  /** @throws {Error} when it is not known to have been done */
  purge(tags: readonly string[]): Promise<void>;
}

const API = 'https://api.cloudflare.com';

export interface ZonePurgeOptions {
  readonly zoneId: string;
  /** With the permission Cache Purge for the zone, and no other. */
  readonly token: string;
  /** Replaced in tests. */
  readonly api?: string;
}

export class ZonePurge implements CachePurge {
  readonly #url: string;
  readonly #token: string;

  constructor({ zoneId, token, api = API }: ZonePurgeOptions) {
    this.#url = `${api}/client/v4/zones/${zoneId}/purge_cache`;
    this.#token = token;
  }

  async purge(tags: readonly string[]): Promise<void> {
    const response = await fetch(this.#url, {
      method: 'POST',
      headers: { Authorization: `Bearer ${this.#token}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ tags }),
      redirect: 'manual',
      signal: AbortSignal.timeout(PURGE_TIMEOUT_MS),
    });
    await response.body?.cancel();
    if (!response.ok) throw new Error(`the purge was answered with status ${response.status}`);
  }
}

/** Without a zone there is no cache in front of us but this place's own, which the handler empties. */
export const NO_PURGE: CachePurge = { purge: async () => undefined };
