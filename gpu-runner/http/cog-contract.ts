/** Cog's HTTP shapes: what comes in, and what refusals look like. */
import { gpuInputSchema } from '@deblur/shared/protocol/runner-api.ts';
import type { Context } from 'hono';
import { z } from 'zod';
import { RETRY_AFTER_SECONDS } from '@deblur/shared/limits.ts';
import { BUSY_RETRY_AFTER_SECONDS } from '../limits.ts';
import { PREDICTION_EVENTS } from '../predictions/prediction.ts';
import type { Refusal } from '../predictions/runner-service.ts';

/** Ids appear in URLs and in logs. */
export const predictionIdSchema = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,128}$/, 'must be 1 to 128 letters, digits, - or _');

/** Fields that Cog knows and we do not need (`version`, `context`, …) are ignored, as Cog does. */
export const runnerCreateSchema = z.object({
  id: predictionIdSchema.optional(),
  input: gpuInputSchema,
  webhook: z.url().max(2048).optional(),
  /** Without it: all of them. */
  webhook_events_filter: z.array(z.enum(PREDICTION_EVENTS)).optional(),
});

/** Keys are the caller's: neither their number nor their length goes into an answer unbounded. */
const MAX_ISSUES_SHOWN = 16;
const MAX_KEY_LENGTH = 64;

/** FastAPI's 422, which Cog speaks. */
export function validationFailed(c: Context, issues: readonly z.core.$ZodIssue[]): Response {
  const detail = issues.flatMap(({ path, message, code, ...issue }) => {
    const keys = 'keys' in issue && Array.isArray(issue.keys) ? issue.keys.slice(0, MAX_ISSUES_SHOWN) : [undefined];
    return keys.map((key: unknown) => ({
      loc: ['body', ...path.map(String), ...(key === undefined ? [] : [String(key).slice(0, MAX_KEY_LENGTH)])],
      msg: key === undefined ? message : 'is not an input',
      type: code,
    }));
  });
  return c.json({ detail: detail.slice(0, MAX_ISSUES_SHOWN) }, 422);
}

export function invalid(c: Context, loc: readonly string[], msg: string, type: string): Response {
  return c.json({ detail: [{ loc, msg, type }] }, 422);
}

interface RefusalAnswer {
  readonly status: 409 | 503;
  readonly error: string;
  readonly retryAfter: number;
}

const REFUSALS: Readonly<Record<Refusal, RefusalAnswer>> = {
  busy: { status: 409, error: 'All slots are busy.', retryAfter: BUSY_RETRY_AFTER_SECONDS },
  starting: { status: 503, error: 'The runner is starting.', retryAfter: RETRY_AFTER_SECONDS },
  stopping: { status: 503, error: 'The runner is stopping.', retryAfter: RETRY_AFTER_SECONDS },
  setup_failed: {
    status: 503,
    error: 'The setup of the runner failed; see /health-check.',
    retryAfter: RETRY_AFTER_SECONDS,
  },
};

export function refused(c: Context, refusal: Refusal): Response {
  const { status, error, retryAfter } = REFUSALS[refusal];
  return c.json({ error, status: 'failed' }, status, { 'Retry-After': String(retryAfter) });
}
