/** One immutable representation on the wire: whole, in part, or only its headers. */
import { gone, notFound, rangeNotSatisfiable } from '@deblur/shared/protocol/errors.ts';
import type { ResultStore } from '../../results/result-store.ts';
import type { ErasedResult, StoredResult } from '../../results/stored-result.ts';
import type { AppContext } from '../context.ts';
import { contentDigest, etagOf, resultHeaders, resultPath } from './present.ts';
import { matchesEtag, parseRange } from '../body/range.ts';

export interface ResultPorts {
  readonly results: Pick<ResultStore, 'head' | 'get'>;
}

/** What this request's answer says beside what every answer with these bytes does. */
export interface Addition {
  readonly headers?: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch: caches forget the answer then, although the result lives on. */
  readonly expiresAt?: number | null;
}

/** @throws {DeblurError} `not_found`, `gone`, `range_not_satisfiable` */
export async function serveResult(
  c: AppContext,
  ports: ResultPorts,
  key: string,
  addition: Addition = {},
): Promise<Response> {
  const response = await represent(c, ports, key);
  for (const [name, value] of Object.entries(addition.headers ?? {})) response.headers.set(name, value);
  const { expiresAt = null } = addition;
  if (expiresAt !== null) limitAge(response.headers, expiresAt);
  return response;
}

/** Empties this place's cache of a result, whatever led to it: every answer with its bytes is cached under its own path. */
export async function forgetCached(c: AppContext, key: string): Promise<void> {
  await caches.default.delete(cacheKeyOf(c, key));
}

const cacheKeyOf = (c: AppContext, key: string): string => new URL(resultPath(key), c.req.url).href;

/** HEAD and 304 need no body; a part is not kept by the cache; the rest is what the cache is for. */
function represent(c: AppContext, ports: ResultPorts, key: string): Promise<Response> {
  const conditional = c.req.header('if-none-match');
  if (conditional !== undefined && matchesEtag(conditional, etagOf(key))) return notModified(c, ports, key);
  if (c.req.method === 'HEAD') return headResult(c, ports, key);
  if (c.req.header('range') !== undefined) return rangeOf(c, ports, key);
  return wholeResult(c, ports, key);
}

async function notModified(c: AppContext, ports: ResultPorts, key: string): Promise<Response> {
  const headers = resultHeaders(await known(ports, key), Date.now());
  // RFC 9110 § 15.4.5: what describes a body stays away.
  delete headers['Content-Type'];
  return c.newResponse(null, 304, headers);
}

async function headResult(c: AppContext, ports: ResultPorts, key: string): Promise<Response> {
  return c.newResponse(null, 200, wholeHeaders(await known(ports, key)));
}

/** GET without conditions: from this place's cache, else from the store and into the cache. */
async function wholeResult(c: AppContext, { results }: ResultPorts, key: string): Promise<Response> {
  const cached = await caches.default.match(cacheKeyOf(c, key));
  if (cached !== undefined) return c.newResponse(cached.body, 200, Object.fromEntries(cached.headers));
  const result = assertStored(await results.get('result', key));
  c.executionCtx.waitUntil(fillCache({ results }, key, cacheKeyOf(c, key)));
  return c.newResponse(result.body, 200, wholeHeaders(result));
}

/** Reads it once more: one body for both would pile up in memory whenever the caller is slower than the cache. */
async function fillCache({ results }: ResultPorts, key: string, cacheKey: string): Promise<void> {
  const result = await results.get('result', key);
  if (result?.kind !== 'stored') return;
  // What cannot be cached now will be the next time.
  const response = new Response(result.body, { headers: wholeHeaders(result) });
  await caches.default.put(cacheKey, response).catch(() => undefined);
  // Asked last: an erasure from now on empties the cache after this.
  if ((await results.head('result', key))?.kind !== 'stored') await caches.default.delete(cacheKey);
}

async function rangeOf(c: AppContext, ports: ResultPorts, key: string): Promise<Response> {
  const result = await known(ports, key);
  const condition = c.req.header('if-range');
  // RFC 9110 § 13.1.5: only a strong match of the ETag keeps the range; a date never does.
  const range =
    condition === undefined || condition === etagOf(key) ? parseRange(c.req.header('range'), result.size) : null;
  if (range === null) return wholeResult(c, ports, key);
  if (range === 'unsatisfiable') {
    c.header('Content-Range', `bytes */${result.size}`);
    throw rangeNotSatisfiable(result.size);
  }
  const part = assertStored(await ports.results.get('result', key, range));
  return c.newResponse(part.body, 206, {
    ...resultHeaders(part, Date.now()),
    'Content-Length': String(range.last - range.first + 1),
    'Content-Range': `bytes ${range.first}-${range.last}/${result.size}`,
  });
}

function wholeHeaders(result: StoredResult): Record<string, string> {
  return {
    ...resultHeaders(result, Date.now()),
    'Content-Length': String(result.size),
    'Content-Digest': contentDigest(result.sha256),
  };
}

function limitAge(headers: Headers, expiresAt: number): void {
  const left = Math.max(0, Math.floor((expiresAt - Date.now()) / 1000));
  const said = headers.get('Cache-Control') ?? '';
  headers.set(
    'Cache-Control',
    said.replace(/max-age=(\d+)/, (_, age) => `max-age=${Math.min(Number(age), left)}`),
  );
}

async function known({ results }: ResultPorts, key: string): Promise<StoredResult> {
  return assertStored(await results.head('result', key));
}

/** @throws {DeblurError} `not_found`, `gone` */
function assertStored<Found extends StoredResult>(found: Found | ErasedResult | null): Found {
  if (found === null) throw notFound('result');
  if (found.kind === 'erased') throw gone('result');
  return found;
}
