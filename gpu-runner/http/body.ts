/** A request's body becomes what is asked for: JSON as Cog takes it, or a form with the picture itself. */
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import type { Context } from 'hono';
import type { z } from 'zod';
import type { PredictionRequest } from '../predictions/runner-service.ts';
import { sha256 } from '../transfers/sha256.ts';
import { FormError, readForm as parseForm, type Form } from './form.ts';
import type { Env } from './request-log.ts';
import { runnerCreateSchema, invalid, validationFailed } from './cog-contract.ts';

export type RunnerCreateRequest = Omit<PredictionRequest, 'trace'>;

/** @returns what is asked for, or the answer that says what is wrong with it */
export async function readRequest(
  c: Context<Env>,
  assertCallable: (url: string) => void,
): Promise<RunnerCreateRequest | Response> {
  const read = isForm(c) ? await readForm(c) : await readJson(c);
  if (read instanceof Response) return read;
  const parsed = runnerCreateSchema.safeParse(read.body);
  if (!parsed.success) return validationFailed(c, parsed.error.issues);
  const { id, input, webhook, webhook_events_filter: events } = parsed.data;
  const { master_upload_url: master, result_upload_url: result } = input;
  // Before the work, not after it: what is made could not be handed over.
  for (const [loc, url] of [
    [['body', 'webhook'], webhook],
    [['body', 'input', 'master_upload_url'], master],
    [['body', 'input', 'result_upload_url'], result],
  ] as const) {
    const fault = url === undefined ? undefined : faultOf(url, assertCallable);
    if (fault !== undefined) return invalid(c, loc, fault, 'value_error');
  }
  return { id, input, ...read.file, ...(webhook === undefined ? {} : { webhook: { url: webhook, events } }) };
}

function faultOf(url: string, assertCallable: (url: string) => void): string | undefined {
  try {
    assertCallable(url);
    return undefined;
  } catch (error) {
    if (error instanceof DeblurError) return error.detail;
    throw error;
  }
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
    return { body: JSON.parse(await c.req.text()) as z.input<typeof runnerCreateSchema> };
  } catch (error) {
    // The body limit and a broken connection also show here; only what cannot be parsed is the caller's JSON.
    if (!(error instanceof SyntaxError)) throw error;
    return invalid(c, ['body'], 'is not JSON', 'json_invalid');
  }
}

/** Inputs that are numbers; a form has text only. */
const NUMBERS: ReadonlySet<string> = new Set(['quality', 'tile', 'upload_part_bytes']);

/** The file as `image`, the other inputs as fields of their names. */
async function readForm(c: Context): Promise<ReadBody | Response> {
  const read = await formOf(c);
  if (read instanceof FormError) return invalid(c, ['body'], read.message, 'value_error');
  const input = new Map<string, unknown>();
  for (const [name, value] of read.parts) {
    if (input.has(name)) return invalid(c, ['body', 'input', name.slice(0, 64)], 'is given twice', 'value_error');
    input.set(name, typeof value === 'string' && NUMBERS.has(name) && /^\d+$/.test(value) ? Number(value) : value);
  }
  const source = input.get('image');
  if (!(source instanceof Uint8Array)) return { body: { input: Object.fromEntries(input) } };
  // Its digest stands for it: the same file asked for again is the same request.
  input.set('image', `sha256:${await sha256(source, 'hex')}`);
  return { body: { input: Object.fromEntries(input) }, file: { source } };
}

async function formOf(c: Context): Promise<Form | FormError> {
  try {
    return await parseForm(c.req.raw.body ?? emptyBody(), c.req.header('content-type') ?? '');
  } catch (error) {
    // The body limit and a broken connection also show here.
    if (error instanceof FormError) return error;
    throw error;
  }
}

async function* emptyBody(): AsyncGenerator<Uint8Array> {
  // Nothing comes of it.
}
