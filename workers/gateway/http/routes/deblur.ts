import { SYNC_UPLOAD_MAX_BYTES } from '@deblur/shared/limits.ts';
import type { Handler } from 'hono';
import { predictJob, type CreateTerms } from '../../predictions/create-prediction.ts';
import { deblur, type Pending } from '../../restorations/deblur.ts';
import { resolveModel } from '../../restorations/models.ts';
import { receiveNamed } from '../../restorations/named-source.ts';
import { newPredictionId, predictionName } from '../../predictions/prediction-id.ts';
import type { ReceivedSource } from '../../sources/source-store.ts';
import { addToLog, type AppContext, type AppEnv } from '../context.ts';
import type { Ports } from '../ports.ts';
import { shownLimits } from '../middleware/rate-limit.ts';
import { answerCreate, termsOf } from './predictions.ts';
import { waitPreference } from '../body/prefer.ts';
import { deblurHeaders, serverTiming } from './present.ts';
import { readUpload, type Upload } from '../body/upload.ts';

/** `POST /v1/deblur`: a picture in, the restored one out; or, when that takes longer than the wait, its prediction. */
export function postDeblur(ports: Ports): Handler<AppEnv> {
  return async (c) => {
    const started = Date.now();
    const wait = waitPreference(c.req.header('prefer'));
    const terms = { ...termsOf(c, ports), id: newPredictionId() };
    const upload = await readUpload(c.req.raw, ports.sources);
    const { image, options } = upload;
    const charged = { ...ports, rateLimits: shownLimits(ports.rateLimits, c) };
    const { source, payment } = await received(c, charged, terms, upload);
    const receiveMs = Date.now() - started;
    const { width, height, format } = source.header;
    addToLog(c, { bytes: source.bytes, width, height, source_format: format });

    const accept = c.req.header('accept') ?? null;
    const { trace, id, tenantId, scope, deadlineSeconds } = terms;
    const subscriberId = predictionName(tenantId, id);
    const asked = { scope, source, options, accept, trace, payment };
    const deblurred = await deblur(charged, { ...asked, waitSeconds: wait.seconds, subscriberId, deadlineSeconds });
    if ('pending' in deblurred) return answerLater(c, ports, terms, deblurred, { image, source, options });
    const { result, cache } = deblurred;
    addToLog(c, { cache, placement: result.placement, model: result.model, result_key: result.key });
    if (wait.applied !== null && wait.seconds > 0) c.header('Preference-Applied', wait.applied);
    ports.stats.count('deblur_results_total', { cache });
    const totalMs = Date.now() - started;
    const timing = serverTiming(deblurred, { receiveMs, totalMs });
    return c.body(result.body, 200, deblurHeaders(deblurred, timing));
  };
}

/** The picture, wherever it is; a named one is opened only for a model that is there. */
async function received(c: AppContext, ports: Ports, terms: CreateTerms, { image, options }: Upload) {
  const { account } = terms;
  if (typeof image !== 'string') return { source: image, payment: { kind: 'before', account } as const };
  resolveModel(ports.catalogue, options.model);
  return receiveNamed(ports, terms, image, { maxBytes: SYNC_UPLOAD_MAX_BYTES, signal: c.req.raw.signal });
}

/** 202: what was begun becomes a prediction, only now that somebody must come back for it. */
async function answerLater(
  c: AppContext,
  ports: Ports,
  terms: CreateTerms,
  { pending: job, deadlineAt }: Pending,
  { image, source, options }: Upload & { readonly source: ReceivedSource },
): Promise<Response> {
  const { model, tile, encoding, workingScale = 'auto' } = job.task;
  const named = typeof image === 'string' ? { image } : {};
  const scaled = workingScale === 'auto' ? {} : { working_scale: workingScale };
  const given = { ...named, model, ...encoding, ...scaled, ...(tile === undefined ? {} : { tile }) };
  // What was waited already counts.
  const deadlineSeconds = Math.max(1, Math.ceil((deadlineAt - Date.now()) / 1000));
  const { snapshot } = await predictJob(ports, { ...terms, deadlineSeconds }, { job, source, options, given });
  const { applied } = waitPreference(c.req.header('prefer'));
  return answerCreate(c, snapshot.prediction, { applied, accepted: true, existed: false });
}
