import { JSON_BODY_MAX_BYTES } from '@deblur/shared/limits.ts';
import { Hono, type Context } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { z } from 'zod';
import type { Prediction } from '../prediction.ts';
import type { Runner } from '../runner.ts';
import { createRequestSchema, invalid, predictionIdSchema, refused, validationFailed } from './wire.ts';

type CreateRequest = z.output<typeof createRequestSchema>;

export function predictionRoutes(runner: Runner): Hono {
  const limited = bodyLimit({
    maxSize: JSON_BODY_MAX_BYTES,
    onError: (c) => c.json({ detail: `The body has more than ${JSON_BODY_MAX_BYTES} bytes.` }, 413),
  });

  return new Hono()
    .post('/', limited, async (c) => {
      const request = await readRequest(c);
      if (request instanceof Response) return request;
      if (request.id !== undefined && runner.find(request.id) !== undefined) {
        return invalid(c, ['body', 'id'], 'is taken; PUT finds it', 'value_error');
      }
      const admission = runner.create(request.input, request.id);
      if (!admission.admitted) return refused(c, admission.refusal);
      const { prediction } = admission;
      if (wantsAsync(c)) return c.json(prediction.view(), 202);
      // Nobody else knows of it, so nobody will come for the answer.
      const gone = (): void => prediction.cancel();
      c.req.raw.signal.addEventListener('abort', gone, { once: true });
      if (c.req.raw.signal.aborted) gone();
      await prediction.finished;
      return c.json(prediction.view());
    })

    .put('/:id', limited, async (c) => {
      const id = c.req.param('id');
      const request = await readRequest(c);
      if (request instanceof Response) return request;
      if (!predictionIdSchema.safeParse(id).success) return invalid(c, ['path', 'id'], 'is malformed', 'value_error');
      if (request.id !== undefined && request.id !== id) {
        return invalid(c, ['body', 'id'], 'is not the id of the URL', 'value_error');
      }
      const known = runner.find(id);
      if (known !== undefined && !isOver(known)) return c.json(known.view(), 202);
      // The same request repeated gets the same answer. Another one, with fresh upload URLs say, is new work.
      if (known?.asks(request.input) === true) return c.json(known.view());
      const admission = runner.create(request.input, id);
      if (!admission.admitted) return refused(c, admission.refusal);
      // It goes on when this client goes away: the same PUT again finds it.
      if (wantsAsync(c)) return c.json(admission.prediction.view(), 202);
      await admission.prediction.finished;
      return c.json(admission.prediction.view());
    })

    .get('/:id', (c) => {
      const prediction = runner.find(c.req.param('id'));
      return prediction === undefined ? unknownId(c) : c.json(prediction.view());
    })

    .post('/:id/cancel', (c) => {
      const prediction = runner.find(c.req.param('id'));
      if (prediction === undefined) return unknownId(c);
      prediction.cancel();
      return c.json(prediction.view());
    });
}

/** RFC 7240 § 4.1. */
function wantsAsync(c: Context): boolean {
  return /(?:^|,)\s*respond-async\s*(?:[,;]|$)/i.test(c.req.header('prefer') ?? '');
}

function isOver(prediction: Prediction): boolean {
  return prediction.completedAt !== undefined;
}

function unknownId(c: Context): Response {
  return c.json({ detail: 'There is no such prediction.' }, 404);
}

async function readRequest(c: Context): Promise<CreateRequest | Response> {
  let body: unknown;
  try {
    body = JSON.parse(await c.req.text());
  } catch (error) {
    // The body limit and a broken connection also show here; only what cannot be parsed is the caller's JSON.
    if (!(error instanceof SyntaxError)) throw error;
    return invalid(c, ['body'], 'is not JSON', 'json_invalid');
  }
  const parsed = createRequestSchema.safeParse(body);
  return parsed.success ? parsed.data : validationFailed(c, parsed.error.issues);
}
