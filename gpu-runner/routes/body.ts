/** A request's body becomes what is asked for: JSON as Cog takes it, or a form with the picture itself. */
import { DeblurError } from '@deblur/shared/errors.ts';
import type { Context } from 'hono';
import type { z } from 'zod';
import type { PredictionRequest } from '../runner.ts';
import { sha256 } from '../sha256.ts';
import type { Env } from './request-log.ts';
import { createRequestSchema, invalid, validationFailed } from './wire.ts';

export type CreateRequest = Omit<PredictionRequest, 'trace'>;

/** @returns what is asked for, or the answer that says what is wrong with it */
export async function readRequest(
  c: Context<Env>,
  assertCallable: (url: string) => void,
): Promise<CreateRequest | Response> {
  const read = isForm(c) ? await readForm(c) : await readJson(c);
  if (read instanceof Response) return read;
  const parsed = createRequestSchema.safeParse(read.body);
  if (!parsed.success) return validationFailed(c, parsed.error.issues);
  const { id, input, webhook, webhook_events_filter: events } = parsed.data;
  if (webhook === undefined) return { id, input, ...read.file };
  try {
    assertCallable(webhook);
  } catch (error) {
    if (!(error instanceof DeblurError)) throw error;
    return invalid(c, ['body', 'webhook'], error.detail, 'value_error');
  }
  return { id, input, ...read.file, webhook: { url: webhook, events } };
}

export function isForm(c: Context): boolean {
  return /^multipart\/form-data\s*(?:;|$)/i.test(c.req.header('content-type') ?? '');
}

interface ReadBody {
  readonly body: unknown;
  readonly file?: { readonly source: Uint8Array };
}

async function readJson(c: Context): Promise<ReadBody | Response> {
  try {
    return { body: JSON.parse(await c.req.text()) as z.input<typeof createRequestSchema> };
  } catch (error) {
    // The body limit and a broken connection also show here; only what cannot be parsed is the caller's JSON.
    if (!(error instanceof SyntaxError)) throw error;
    return invalid(c, ['body'], 'is not JSON', 'json_invalid');
  }
}

/** Inputs that are numbers; a form has text only. */
const NUMBERS: ReadonlySet<string> = new Set(['quality', 'tile']);

/** The file as `image`, the other inputs as fields of their names. */
async function readForm(c: Context): Promise<ReadBody | Response> {
  let form: FormData;
  try {
    form = await c.req.formData();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return invalid(c, ['body'], 'is not a form', 'value_error');
  }
  const input: Record<string, unknown> = {};
  for (const [name, value] of form) {
    if (name in input) return invalid(c, ['body', 'input', name.slice(0, 64)], 'is given twice', 'value_error');
    input[name] = typeof value === 'string' && NUMBERS.has(name) && /^\d+$/.test(value) ? Number(value) : value;
  }
  const { image } = input;
  if (!(image instanceof File)) return { body: { input } };
  const source = new Uint8Array(await image.arrayBuffer());
  // Its digest stands for it: the same file asked for again is the same request.
  const digest = await sha256(source, 'hex');
  return { body: { input: { ...input, image: `sha256:${digest}` } }, file: { source } };
}
