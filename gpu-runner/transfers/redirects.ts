/** A GET that follows redirects by hand, so that each address is checked like the first. */
import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { sourceRedirectsTooOften } from '@deblur/shared/protocol/errors.ts';
import type { HttpClient } from './http-client.ts';
import { MAX_REDIRECTS } from '../limits.ts';

const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];

/**
 * @returns the first answer that leads nowhere else, whatever its status
 * @throws {DeblurError} `source_not_found` after too many redirects; what HttpClient throws
 */
export async function getFollowing(
  url: string,
  http: HttpClient,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData> {
  let next = url;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const response = await http.request(next, { method: 'GET', headers, signal });
    const location = response.headers['location'];
    if (!REDIRECTS.includes(response.statusCode) || typeof location !== 'string') return response;
    discard(response.body);
    if (!URL.canParse(location, next)) break;
    next = new URL(location, next).href;
  }
  throw sourceRedirectsTooOften(MAX_REDIRECTS);
}

/** Ends a body that nobody reads: undici then emits an error, and one without a listener would end the process. */
export function discard(body: Readable): void {
  body.on('error', () => undefined);
  body.destroy();
}
