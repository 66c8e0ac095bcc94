import { SYNC_UPLOAD_MAX_BYTES } from '@deblur/shared/limits.ts';
import type { Handler } from 'hono';
import { predictJob, type CreateTerms } from '../../predictions/create-prediction.ts';
import { deblur, type Pending } from '../../restorations/deblur.ts';
import { resolveModel } from '../../restorations/models.ts';
import { receiveNamed } from '../../restorations/named-source.ts';
import { newPredictionId, predictionName } from '../../predictions/prediction-id.ts';
import { megapixelsOf } from '../../restorations/plan.ts';
import type { ReceivedSource } from '../../sources/ports.ts';
import { addToLog, type AppContext, type AppEnv, type Ports } from '../context.ts';
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
    const { source, pay } = await received(c, ports, terms, upload);
    const receiveMs = Date.now() - started;
    const { width, height, format } = source.header;
    addToLog(c, { bytes: source.bytes, width, height, source_format: format });

    const accept = c.req.header('accept') ?? null;
    const tenant = c.get('tenant');
    const { trace, id, deadlineSeconds } = terms;
    const subscriberId = predictionName(tenant.id, id);
    const asked = { tenant, source, options, accept, trace, pay };
    const deblurred = await deblur(ports, { ...asked, waitSeconds: wait.seconds, subscriberId, deadlineSeconds });
    if ('pending' in deblurred) return answerLater(c, ports, terms, deblurred, { image, source, options });
    const { result, cache, cost } = deblurred;
    addToLog(c, { cache, placement: result.placement, model: result.model, result_key: result.key });
    if (wait.applied !== null && wait.seconds > 0) c.header('Preference-Applied', wait.applied);
    ports.stats.count('deblur_results_total', { cache: cost });
    const totalMs = Date.now() - started;
    const timing = serverTiming(deblurred, { receiveMs, totalMs, detailed: ports.sharedCache });
    return c.body(result.body, 200, deblurHeaders(deblurred, timing));
  };
}

/** The picture, wherever it is; a name is looked after only for a model that can be had. */
async function received(c: AppContext, ports: Ports, terms: CreateTerms, { image, options }: Upload) {
  if (typeof image !== 'string') return { source: image, pay: terms.pay };
  resolveModel(ports.catalogue, options.model);
  return receiveNamed(ports, terms, image, { maxBytes: SYNC_UPLOAD_MAX_BYTES, signal: c.req.raw.signal });
}

/** 202: what was begun becomes a prediction, only now that somebody must come back for it. */
async function answerLater(
  c: AppContext,
  ports: Ports,
  terms: CreateTerms,
  { pending: job, tellsCache, deadlineAt }: Pending,
  { image, source, options }: Upload & { readonly source: ReceivedSource },
): Promise<Response> {
  const { model, tile, encoding } = job.task;
  const named = typeof image === 'string' ? { image } : {};
  const given = { ...named, model, ...encoding, ...(tile === undefined ? {} : { tile }) };
  // What was waited already counts.
  const deadlineSeconds = Math.max(1, Math.ceil((deadlineAt - Date.now()) / 1000));
  const { snapshot } = await predictJob(
    ports,
    { ...terms, deadlineSeconds },
    {
      job,
      tellsCache,
      options,
      given,
      megapixels: megapixelsOf(source),
    },
  );
  const { applied } = waitPreference(c.req.header('prefer'));
  return answerCreate(c, snapshot.prediction, { applied, accepted: true, existed: false });
}
