import { notFound, operatorOnly } from '@deblur/shared/protocol/errors.ts';
import { isSame } from '@deblur/shared/net/http.ts';
import type { Handler } from 'hono';
import type { AppEnv } from '../context.ts';
import type { Ports } from '../ports.ts';

const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** `GET /metrics`, for the bearer of the operator's token; without one configured there is no such path. */
export function getMetrics({ metrics, metricsToken }: Ports): Handler<AppEnv> {
  return async (c) => {
    if (metricsToken === null) throw notFound('path');
    const [, token = ''] = /^Bearer ([!-~]{1,512})$/i.exec(c.req.header('authorization') ?? '') ?? [];
    if (!(await isSame(token, metricsToken))) throw operatorOnly('metrics');
    return c.body(await metrics.render(), 200, { 'Content-Type': CONTENT_TYPE });
  };
}
