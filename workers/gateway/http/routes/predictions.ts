/** Predictions as a resource: Replicate's API. */
import { invalidPredictionId, notFound } from '@deblur/shared/protocol/errors.ts';
import { RETRY_AFTER_SECONDS } from '@deblur/shared/limits.ts';
import { optionError } from '@deblur/shared/protocol/options.ts';
import { isTerminal, PREDICTION_ID, type Prediction, type PredictionList } from '@deblur/shared/protocol/prediction.ts';
import type { Handler } from 'hono';
import { z } from 'zod';
import { createPrediction, type CreateTerms } from '../../predictions/create-prediction.ts';
import type { Predictions, PredictionSnapshot } from '../../predictions/ports.ts';
import { modelAt } from '../../restorations/requested-model.ts';
import { addToLog, type AppContext, type AppEnv } from '../context.ts';
import type { Ports } from '../ports.ts';
import { cancelAfterSeconds, idempotencyKeyOf } from '../body/create-headers.ts';
import { readCreate } from '../body/prediction-request.ts';
import { streamPrediction, wantsEventStream } from './prediction-stream.ts';
import { createPreference, type WaitPreference } from '../body/prefer.ts';
import { matchesEtag } from '../body/range.ts';
import { scopeOf } from '../../restorations/scope.ts';
import { shownLimits } from '../middleware/rate-limit.ts';

/** What a create says by its path. */
interface CreatePath {
  readonly id?: string;
  readonly model?: { readonly owner: string; readonly name: string };
}

/** `POST /v1/predictions` */
export function postPrediction(ports: Ports): Handler<AppEnv> {
  return (c) => create(c, ports, {});
}

/** `PUT /v1/predictions/{id}`: Cog's idempotent create. The same again is the same prediction. */
export function putPrediction(ports: Ports): Handler<AppEnv, '/v1/predictions/:id'> {
  return (c) => {
    const id = c.req.param('id');
    if (!PREDICTION_ID.test(id)) throw invalidPredictionId();
    return create(c, ports, { id });
  };
}

/** `POST /v1/models/{owner}/{name}/predictions` */
export function postModelPrediction(ports: Ports): Handler<AppEnv, '/v1/models/:owner/:name/predictions'> {
  return (c) => {
    const model = c.req.param();
    modelAt(ports.catalogue, model.owner, model.name);
    return create(c, ports, { model });
  };
}

async function create(c: AppContext, ports: Ports, { id, model }: CreatePath): Promise<Response> {
  const preference = createPreference(c.req.header('prefer'));
  const named = termsOf(c, ports);
  // The id of a PUT is its idempotency key.
  const terms = id === undefined ? named : { ...named, id, idempotencyKey: null };
  const { version, inputModel, ...body } = await readCreate(c.req.raw, ports.sources, id);
  const references = { path: model, version, inputModel };
  const charged = { ...ports, rateLimits: shownLimits(ports.rateLimits, c) };
  const created = await createPrediction(charged, { ...terms, ...body, references });
  const snapshot = await waited(ports.predictions, terms.tenantId, created.snapshot, preference.seconds);
  const { applied } = preference;
  return answerCreate(c, snapshot.prediction, {
    applied,
    accepted: applied !== null,
    existed: id !== undefined && !created.created,
  });
}

/** What the headers say of a create. */
export function termsOf(c: AppContext, ports: Pick<Ports, 'sharedCache'>): CreateTerms {
  const { id: tenantId } = c.get('tenant');
  return {
    tenantId,
    scope: scopeOf(ports, tenantId),
    account: c.get('account'),
    origin: c.get('origin'),
    trace: c.get('trace'),
    idempotencyKey: idempotencyKeyOf(c.req.header('idempotency-key')),
    deadlineSeconds: cancelAfterSeconds(c.req.header('cancel-after')),
    webhook: null,
    webhookEvents: null,
  };
}

/** The prediction at its end, or as it is after so many seconds. */
async function waited(
  predictions: Predictions,
  tenantId: string,
  created: PredictionSnapshot,
  seconds: number,
): Promise<PredictionSnapshot> {
  const until = Date.now() + seconds * 1000;
  let snapshot = created;
  while (!isTerminal(snapshot.prediction.status) && Date.now() < until) {
    const next = await predictions.next(tenantId, snapshot.prediction.id, null, until - Date.now());
    if (next === null) break;
    snapshot = next;
  }
  return snapshot;
}

interface CreateAnswer {
  /** For Preference-Applied. */
  readonly applied: WaitPreference['applied'];
  /** The caller was ready to wait or to come back. */
  readonly accepted: boolean;
  /** A PUT found its prediction. */
  readonly existed: boolean;
}

/** 201; 202 when the end is still to come and that is accepted; 200 instead of 201 for what existed (RFC 9110 § 9.3.4). */
export function answerCreate(c: AppContext, prediction: Prediction, answer: CreateAnswer): Response {
  const { id, status } = prediction;
  addToLog(c, { prediction: id, prediction_status: status });
  if (answer.applied !== null) c.header('Preference-Applied', answer.applied);
  c.header('Location', `/v1/predictions/${id}`);
  const pending = !isTerminal(status) && answer.accepted;
  if (pending) c.header('Retry-After', String(RETRY_AFTER_SECONDS));
  return c.json(createdForm(prediction), pending ? 202 : answer.existed ? 200 : 201);
}

/** What is not over has not begun: the released `replicate` client stops polling when a blocking create says `processing`. */
function createdForm(prediction: Prediction): Prediction {
  return isTerminal(prediction.status) ? prediction : { ...prediction, status: 'starting' };
}

/** `GET /v1/predictions/{id}`, as JSON or as a stream of events. */
export function getPrediction({ predictions }: Ports): Handler<AppEnv, '/v1/predictions/:id'> {
  return async (c) => {
    const snapshot = await predictions.read(c.get('tenant').id, knownForm(c.req.param('id')));
    if (snapshot === null) throw notFound('prediction');
    c.header('Vary', 'Accept', { append: true });
    if (wantsEventStream(c)) return streamPrediction(c, predictions, snapshot, c.get('tenant').id);
    const etag = `"${snapshot.revision}"`;
    c.header('ETag', etag);
    if (matchesEtag(c.req.header('if-none-match'), etag)) return c.body(null, 304);
    return c.json(snapshot.prediction);
  };
}

/** `POST /v1/predictions/{id}/cancel`: what has ended stays as it ended. */
export function cancelPrediction({ predictions }: Ports): Handler<AppEnv, '/v1/predictions/:id/cancel'> {
  return async (c) => {
    const snapshot = await predictions.cancel(c.get('tenant').id, knownForm(c.req.param('id')));
    if (snapshot === null) throw notFound('prediction');
    return c.json(snapshot.prediction);
  };
}

export const predictionListQuerySchema = z.strictObject({
  cursor: z.string().describe('Of another page: `next` and `previous` have it.').optional(),
});

/** `GET /v1/predictions`: the caller's, newest first. */
export function listPredictions({ predictions }: Ports): Handler<AppEnv> {
  return async (c) => {
    const query = predictionListQuerySchema.safeParse(c.req.query());
    if (!query.success) throw optionError(query.error);
    const { previous, next, results } = await predictions.list(c.get('tenant').id, query.data.cursor ?? null);
    const page = (cursor: string | null) => cursor && `${c.get('origin')}${c.req.path}?cursor=${cursor}`;
    return c.json({ previous: page(previous), next: page(next), results } satisfies PredictionList);
  };
}

/** A malformed id gets the same 404 as an unknown one. */
export function knownForm(id: string): string {
  if (PREDICTION_ID.test(id)) return id;
  throw notFound('prediction');
}
