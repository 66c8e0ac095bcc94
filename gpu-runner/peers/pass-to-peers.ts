import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import type { Context, MiddlewareHandler } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { RETRY_AFTER_SECONDS } from '@deblur/shared/limits.ts';
import { TRANSFER_TIMEOUT_MS } from '../limits.ts';
import type { Peers } from './peers.ts';
import { FROM_PEER_HEADER } from '../http/predictions.ts';
import type { RunnerService } from '../predictions/runner-service.ts';
import type { Env } from '../http/request-log.ts';
import { predictionIdSchema } from '../http/cog-contract.ts';

/** What travels with a request that is passed on; the rest is between two neighbours. */
const REQUEST_HEADERS = ['accept', 'content-length', 'content-type', 'prefer', 'traceparent', 'tracestate'] as const;
const ANSWER_HEADERS = ['content-type', 'retry-after', 'x-model', 'x-prediction-id'] as const;

/** Passes requests about a prediction that this runner does not know on to the peer that does; before bodies are read. */
export function passToPeers(runner: RunnerService, peers: Peers): MiddlewareHandler<Env> {
  return async (c, next) => {
    const id = c.req.param('id') ?? '';
    const fromPeer = c.req.header(FROM_PEER_HEADER) !== undefined;
    if (fromPeer || runner.find(id) !== undefined || !predictionIdSchema.safeParse(id).success) return next();
    const owner = await peers.ownerOf(id, c.req.method);
    if (owner === 'nobody') return next();
    // Who is told that there is no such prediction begins it again; one that begins it finds out when it asks.
    if (owner === 'unsure') return c.req.method === 'PUT' ? next() : unsure(c);
    try {
      return await passed(c, peers, owner.origin);
    } catch {
      return unsure(c);
    }
  };
}

async function passed(c: Context<Env>, peers: Peers, origin: string): Promise<Response> {
  const { method, path, raw } = c.req;
  const headers = Object.fromEntries(
    REQUEST_HEADERS.flatMap((name) => {
      const value = c.req.header(name);
      return value === undefined ? [] : [[name, value]];
    }),
  );
  // A PUT is answered when the picture is done, which its owner bounds.
  const timed = method === 'PUT' ? [] : [AbortSignal.timeout(TRANSFER_TIMEOUT_MS)];
  const body = raw.body === null ? null : Readable.fromWeb(raw.body as ReadableStream);
  const answer = await peers.pass(origin, path, {
    method: method as 'GET' | 'PUT' | 'POST',
    // Both runners log it under one id.
    headers: { ...headers, 'x-request-id': c.get('requestId') },
    body,
    signal: AbortSignal.any([raw.signal, ...timed]),
  });
  for (const name of ANSWER_HEADERS) {
    const value = answer.headers[name];
    if (typeof value === 'string') c.header(name, value);
  }
  return c.body(
    Readable.toWeb(answer.body) as unknown as globalThis.ReadableStream,
    answer.statusCode as ContentfulStatusCode,
  );
}

function unsure(c: Context): Response {
  const detail = 'Another runner may know it, and does not answer.';
  return c.json({ detail }, 503, { 'Retry-After': String(RETRY_AFTER_SECONDS) });
}
