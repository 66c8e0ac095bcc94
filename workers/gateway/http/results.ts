import { isSha256Hex } from '@deblur/shared/digest.ts';
import { DeblurError } from '@deblur/shared/errors.ts';
import type { Handler } from 'hono';
import type { ResultStore, StoredResult } from '../predict/ports.ts';
import type { AppContext, AppEnv, Ports } from './context.ts';
import { contentDigest, etagOf, resultHeaders } from './present.ts';
import { matchesEtag, parseRange } from './range.ts';

/** `GET|HEAD /v1/results/{key}`: one immutable representation. */
export function getResult({ results }: Ports): Handler<AppEnv, '/v1/results/:key'> {
  return async (c) => {
    const key = c.req.param('key');
    if (!isSha256Hex(key)) throw notStored();
    const { method } = c.req;
    const conditional = c.req.header('if-none-match');
    // HEAD and 304 need no body; a part is not kept by the cache; the rest is what the cache is for.
    if (conditional !== undefined && matchesEtag(conditional, etagOf(key))) return notModified(c, results, key);
    if (method === 'HEAD') return headResult(c, results, key);
    if (c.req.header('range') !== undefined) return rangeOf(c, results, key);
    return wholeResult(c, results, key);
  };
}

async function notModified(c: AppContext, results: ResultStore, key: string): Promise<Response> {
  const headers = resultHeaders(await known(results, key), Date.now());
  // RFC 9110 § 15.4.5: what describes a body stays away.
  delete headers['Content-Type'];
  return c.body(null, 304, headers);
}

async function headResult(c: AppContext, results: ResultStore, key: string): Promise<Response> {
  const result = await known(results, key);
  return c.body(null, 200, wholeHeaders(result));
}

/** GET without conditions: from this place's cache, else from the store and into the cache. */
async function wholeResult(c: AppContext, results: ResultStore, key: string): Promise<Response> {
  const cacheKey = new URL(`/v1/results/${key}`, c.req.url).href;
  const cached = await caches.default.match(cacheKey);
  if (cached !== undefined) return c.newResponse(cached.body, 200, Object.fromEntries(cached.headers));
  const result = await results.get('result', key);
  if (result === null) throw notStored();
  c.executionCtx.waitUntil(fillCache(results, key, cacheKey));
  return c.body(result.body, 200, wholeHeaders(result));
}

/** Reads it once more: one body for both would pile up in memory whenever the caller is slower than the cache. */
async function fillCache(results: ResultStore, key: string, cacheKey: string): Promise<void> {
  const result = await results.get('result', key);
  if (result === null) return;
  // What cannot be cached now will be the next time.
  const response = new Response(result.body, { headers: wholeHeaders(result) });
  await caches.default.put(cacheKey, response).catch(() => undefined);
}

async function rangeOf(c: AppContext, results: ResultStore, key: string): Promise<Response> {
  const result = await known(results, key);
  const condition = c.req.header('if-range');
  // RFC 9110 § 13.1.5: only a strong match of the ETag keeps the range; a date never does.
  const range =
    condition === undefined || condition === etagOf(key) ? parseRange(c.req.header('range'), result.size) : null;
  if (range === null) return wholeResult(c, results, key);
  if (range === 'unsatisfiable') {
    c.header('Content-Range', `bytes */${result.size}`);
    throw new DeblurError('range_not_satisfiable', `The result has ${result.size} bytes.`);
  }
  const part = await results.get('result', key, range);
  if (part === null) throw notStored();
  return c.body(part.body, 206, {
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

async function known(results: ResultStore, key: string): Promise<StoredResult> {
  const result = await results.head('result', key);
  if (result === null) throw notStored();
  return result;
}

/** The same for a malformed key: what is not a name of ours names nothing. */
function notStored(): DeblurError {
  return new DeblurError('not_found', 'There is no such result, or it has expired.');
}
