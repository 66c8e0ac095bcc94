import { isSha256Hex } from '@deblur/shared/net/digest.ts';
import { notFound } from '@deblur/shared/protocol/errors.ts';
import { OUTPUT_FORMATS } from '@deblur/shared/protocol/options.ts';
import { acceptsFormat } from '@deblur/shared/protocol/accept.ts';
import type { Handler } from 'hono';
import type { Payment } from '../../restorations/claim-restoration.ts';
import { eraseResult } from '../../restorations/erase-result.ts';
import { acceptableFormat } from '../../restorations/other-format.ts';
import { scopeOf } from '../../restorations/scope.ts';
import type { StoredResult } from '../../results/stored-result.ts';
import type { AppContext, AppEnv } from '../context.ts';
import type { Ports } from '../ports.ts';
import { shownLimits } from '../middleware/rate-limit.ts';
import { resultPath } from './present.ts';
import { forgetCached, serveResult } from './serve-result.ts';

/** `GET|HEAD /v1/results/{key}`: one immutable representation, in another format when the caller does not take its own. */
export function getResult(ports: Ports): Handler<AppEnv, '/v1/results/:key'> {
  return async (c) => {
    const key = resultKeyIn(c.req.param('key'));
    const served = await representationOf(c, ports, key);
    return serveResult(c, ports, served, { headers: { 'Content-Location': resultPath(served) } });
  };
}

async function representationOf(c: AppContext, ports: Ports, key: string): Promise<string> {
  const accept = c.req.header('accept') ?? '';
  // Browsers and most programs accept everything: then nothing needs to be known of the result.
  if (OUTPUT_FORMATS.every((format) => acceptsFormat(accept, format))) return key;
  const found = await ports.results.head('result', key);
  if (found?.kind !== 'stored') return key;
  const charged = { ...ports, rateLimits: shownLimits(ports.rateLimits, c) };
  return acceptableFormat(charged, found, accept, encodingPaymentOf(c, ports, found));
}

/** Only the scope of a result has it encoded anew, and pays for it. */
function encodingPaymentOf(c: AppContext, ports: Ports, { restoration }: StoredResult): Payment | null {
  const { id, scopes } = c.get('tenant');
  const isOwn = restoration?.scope === scopeOf(ports, id) && scopes.has('create');
  return isOwn ? { kind: 'before', account: c.get('account') } : null;
}

/** `DELETE /v1/results/{key}` */
export function deleteResult(ports: Ports): Handler<AppEnv, '/v1/results/:key'> {
  return async (c) => {
    const erased = await eraseResult(ports, c.get('tenant'), resultKeyIn(c.req.param('key')));
    await Promise.all(erased.map((key) => forgetCached(c, key)));
    return c.body(null, 204);
  };
}

/** A malformed key gets the same 404 as an unknown one. */
function resultKeyIn(text: string): string {
  if (isSha256Hex(text)) return text;
  throw notFound('result');
}
