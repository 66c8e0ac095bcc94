/** Failures on the wire: application/problem+json (RFC 9457), through this one place. */
import {
  DeblurError,
  ERRORS,
  internalError,
  methodNotAllowed,
  notFound as noSuch,
  type ErrorCode,
} from '@deblur/shared/protocol/errors.ts';
import { RETRY_AFTER_SECONDS } from '@deblur/shared/limits.ts';
import type { ErrorHandler, NotFoundHandler } from 'hono';
import type { z } from 'zod';
import { addToLog, type AppContext, type AppEnv } from '../context.ts';
import type { problemSchema } from '../api-schemas.ts';

export const onError: ErrorHandler<AppEnv> = (error, c) => {
  if (error instanceof DeblurError) {
    addToLog(c, { detail: error.detail, ...(error.cause === undefined ? {} : { cause: String(error.cause) }) });
    return problem(c, error);
  }
  addToLog(c, { error: error.stack ?? error.message });
  return problem(c, internalError());
};

/** A person who mistypes an address gets a page, a program gets a problem. */
export const notFound: NotFoundHandler<AppEnv> = async (c) => {
  const assets = (c.env as Partial<Env> | undefined)?.ASSETS;
  const wantsPage = c.req.method === 'GET' && (c.req.header('accept') ?? '').includes('text/html');
  if (!wantsPage || assets === undefined) return problem(c, noSuch('path'));
  const page = await assets.fetch(new URL('/404', c.req.url));
  return page.ok ? c.html(await page.text(), 404) : problem(c, noSuch('path'));
};

export function onMethodNotAllowed(c: AppContext, allowed: string[]): Response {
  c.header('Allow', allowed.join(', '));
  return problem(c, methodNotAllowed(c.req.method, allowed));
}

function problem(c: AppContext, error: DeblurError): Response {
  const { status, title } = ERRORS[error.code];
  addToLog(c, { code: error.code });
  const retryAfter = error.retryAfterSeconds ?? (status >= 503 ? RETRY_AFTER_SECONDS : undefined);
  if (retryAfter !== undefined) c.header('Retry-After', String(retryAfter));
  c.header('Cache-Control', 'no-store');
  const body: z.infer<typeof problemSchema> = {
    type: problemType(error.code),
    title,
    status,
    detail: error.detail,
    code: error.code,
    request_id: c.get('requestId'),
    ...(error.fields.length > 0 ? { errors: [...error.fields] } : {}),
  };
  return c.body(JSON.stringify(body), status, { 'Content-Type': 'application/problem+json' });
}

/** A name, not an address: it stays the same wherever the service is hosted. */
const problemType = (code: ErrorCode): string => `urn:deblur:problem:${code}`;
