import { JSON_BODY_MAX_BYTES, MULTIPART_FIELDS_MAX_BYTES, SYNC_UPLOAD_MAX_BYTES } from '@deblur/shared/limits.ts';
import { Hono, type Context, type MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { SMALL_BODY_MAX_BYTES } from '../limits.ts';
import type { RunnerService } from '../predictions/runner-service.ts';
import { acceptedFormat, answer, finalAnswer } from './answer.ts';
import { isForm, readRequest, type RunnerCreateRequest } from './body.ts';
import type { Env } from './request-log.ts';
import { invalid, predictionIdSchema, refused } from './cog-contract.ts';

/** On what a peer asks, which is not passed on again: the method of the request that it has. */
export const FROM_PEER_HEADER = 'x-deblur-peer';

/** With the release of a body's room in memory. */
interface BodyEnv extends Env {
  Variables: Env['Variables'] & { bodyRead?: () => void };
}

export function predictionRoutes(runner: RunnerService): Hono<BodyEnv> {
  const limited = bodies(runner);

  return new Hono<BodyEnv>()
    .post('/', limited, async (c) => {
      const request = await read(c, runner);
      if (request instanceof Response) return request;
      if (request.id !== undefined && runner.find(request.id) !== undefined) {
        return invalid(c, ['body', 'id'], 'is taken; PUT finds it', 'value_error');
      }
      const admission = runner.create({ ...request, trace: c.get('trace') });
      if (!admission.admitted) return refused(c, admission.refusal);
      const { prediction } = admission;
      if (wantsAsync(c)) return answer(c, prediction, 202);
      // Nobody else knows of it, so nobody will come for the answer.
      const gone = (): void => prediction.requestCancel();
      c.req.raw.signal.addEventListener('abort', gone, { once: true });
      if (c.req.raw.signal.aborted) gone();
      await prediction.finished;
      return finalAnswer(c, prediction);
    })

    .put('/:id', limited, async (c) => {
      const id = c.req.param('id');
      const request = await read(c, runner);
      if (request instanceof Response) return request;
      if (!predictionIdSchema.safeParse(id).success) return invalid(c, ['path', 'id'], 'is malformed', 'value_error');
      if (request.id !== undefined && request.id !== id) {
        return invalid(c, ['body', 'id'], 'is not the id of the URL', 'value_error');
      }
      const known = runner.find(id);
      if (known !== undefined && known.completedAt === undefined) return answer(c, known, 202);
      // The same request repeated gets the same answer. Another one, with fresh upload URLs say, is new work, and so is one
      // that failed of what may have passed.
      if (known?.asks(request.input) === true && !known.mayBeRetried) return finalAnswer(c, known);
      const admission = runner.create({ ...request, id, trace: c.get('trace') });
      if (!admission.admitted) return refused(c, admission.refusal);
      // It goes on when this client goes away: the same PUT again finds it.
      if (wantsAsync(c)) return answer(c, admission.prediction, 202);
      await admission.prediction.finished;
      return finalAnswer(c, admission.prediction);
    })

    .get('/:id', (c) => {
      const prediction = runner.find(c.req.param('id'));
      if (c.req.method === 'HEAD')
        return c.body(null, runner.answersFor(prediction, c.req.header(FROM_PEER_HEADER)) ? 200 : 404);
      return prediction === undefined ? unknownId(c) : answer(c, prediction);
    })

    .post('/:id/cancel', (c) => {
      const prediction = runner.find(c.req.param('id'));
      if (prediction === undefined) return unknownId(c);
      prediction.requestCancel();
      return answer(c, prediction);
    });
}

/** Bounds what one body may have, and how many of those that bring files are in memory at once, until they are read. */
function bodies(runner: RunnerService): MiddlewareHandler<BodyEnv> {
  const limit = (maxSize: number): MiddlewareHandler =>
    bodyLimit({ maxSize, onError: (c) => c.json({ detail: `The body has more than ${maxSize} bytes.` }, 413) });
  const json = limit(JSON_BODY_MAX_BYTES);
  const form = limit(SYNC_UPLOAD_MAX_BYTES + MULTIPART_FIELDS_MAX_BYTES);
  return async (c: Context<BodyEnv>, next) => {
    const limited = isForm(c) ? form : json;
    if (isSmall(c)) return limited(c, next);
    const release = runner.refusal === undefined ? runner.takeUpload() : undefined;
    if (release === undefined) return refused(c, runner.refusal ?? 'busy');
    c.set('bodyRead', release);
    try {
      return await limited(c, next);
    } finally {
      release();
    }
  };
}

/** One that does not say how long it is may be of any length. */
function isSmall(c: Context): boolean {
  return Number(c.req.header('content-length') ?? Infinity) <= SMALL_BODY_MAX_BYTES;
}

async function read(c: Context<BodyEnv>, runner: RunnerService): Promise<RunnerCreateRequest | Response> {
  const request = await readRequest(c, (url) => runner.assertCallable(url));
  // From here on it has a slot, or is refused.
  c.get('bodyRead')?.();
  if (request instanceof Response || request.input.format !== undefined) return request;
  const format = acceptedFormat(c);
  return format === undefined ? request : { ...request, input: { ...request.input, format } };
}

/** RFC 7240 § 4.1. */
function wantsAsync(c: Context): boolean {
  return /(?:^|,)\s*respond-async\s*(?:[,;]|$)/i.test(c.req.header('prefer') ?? '');
}

function unknownId(c: Context): Response {
  return c.json({ detail: 'There is no such prediction.' }, 404);
}
