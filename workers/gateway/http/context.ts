/** What a request carries through the middleware. */
import type { TraceContext } from '@deblur/shared/protocol/trace-context.ts';
import type { Context } from 'hono';
import type { RequestIdVariables } from 'hono/request-id';
import type { RateAccount, Tenant } from '../tenants/access-ports.ts';

/** What a handler adds to the request's line in the log. */
export type LogFields = Record<string, string | number | boolean | null>;

export interface AppEnv {
  Variables: RequestIdVariables & {
    trace: TraceContext;
    log: LogFields;
    origin: string;
    tenant: Tenant;
    account: RateAccount;
  };
}

export type AppContext = Context<AppEnv>;

export function addToLog(c: AppContext, fields: LogFields): void {
  Object.assign(c.get('log'), fields);
}
