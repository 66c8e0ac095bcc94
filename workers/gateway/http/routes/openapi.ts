import type { Handler } from 'hono';
import type { AppEnv } from '../context.ts';
import { openApi } from '../openapi/document.ts';

/** Made with the first request for it: starting does not pay for it, and it cannot be older than the code. */
let text: string | undefined;

/** `GET /openapi.json`; `/docs` shows it to people. */
export const getOpenApi: Handler<AppEnv> = (c) => {
  text ??= JSON.stringify(openApi());
  return c.body(text, 200, { 'Content-Type': 'application/json', 'Access-Control-Allow-Origin': '*' });
};
