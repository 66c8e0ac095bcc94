import { acceptsFormat } from '@deblur/shared/protocol/accept.ts';
import { isSha256Hex } from '@deblur/shared/net/digest.ts';
import { gone, notFound } from '@deblur/shared/protocol/errors.ts';
import { OUTPUT_FORMATS } from '@deblur/shared/protocol/options.ts';
import type { Handler } from 'hono';
import type { Tenant } from '../../tenants/access-ports.ts';
import { acceptableSibling } from '../../restorations/other-format.ts';
import type { AppEnv, Ports } from '../context.ts';
import { resultPath } from './present.ts';
import { forgetCached, serveResult } from './serve-result.ts';

/** `GET|HEAD /v1/results/{key}`: one immutable representation, in another format when the caller does not take its own. */
export function getResult(ports: Ports): Handler<AppEnv, '/v1/results/:key'> {
  return async (c) => {
    const key = resultKeyIn(c.req.param('key'));
    const served = await representationOf(ports, key, c.req.header('accept'));
    return serveResult(c, ports, served, { headers: { 'Content-Location': resultPath(served) } });
  };
}

async function representationOf(ports: Ports, key: string, accept = ''): Promise<string> {
  // What browsers and most programs send allows everything: then nothing needs to be known of the result.
  if (OUTPUT_FORMATS.every((format) => acceptsFormat(accept, format))) return key;
  const origin = await ports.origins.find(key);
  return origin === null || origin === 'erased' ? key : acceptableSibling(ports, origin, accept);
}

/** `DELETE /v1/results/{key}`: the caller's reference goes, and with the last one the bytes. */
export function deleteResult(ports: Ports): Handler<AppEnv, '/v1/results/:key'> {
  return async (c) => {
    const tenant = c.get('tenant');
    const key = resultKeyIn(c.req.param('key'));
    const origin = await ports.origins.find(key);
    if (origin === 'erased') throw gone('result');
    const released = origin && (await ports.references.release(erasesFor(tenant), origin));
    // Another tenant's result is none that this one could delete, nor know of.
    if (released === null) throw notFound('result');
    await Promise.all(released.erased.map((erased) => forgetCached(c, erased)));
    return c.body(null, 204);
  };
}

/** On one's own machine there is one person behind all tenants, image links included. */
const erasesFor = ({ id, tier }: Tenant): string | null => (tier === 'local' ? null : id);

/** A malformed key gets the same 404 as an unknown one. */
function resultKeyIn(text: string): string {
  if (isSha256Hex(text)) return text;
  throw notFound('result');
}
