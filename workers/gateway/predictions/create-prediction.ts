/** The decisions of a create, whatever form it came in. */
import { ASYNC_UPLOAD_MAX_BYTES, RATE_LIMIT_UNKNOWN_MEGAPIXELS } from '@deblur/shared/limits.ts';
import { sha256Hex } from '@deblur/shared/net/digest.ts';
import { keyNeededForWebhooks } from '@deblur/shared/protocol/errors.ts';
import type { Options } from '@deblur/shared/protocol/options.ts';
import { MODEL_OWNER, type PredictionInput, type WebhookEvent } from '@deblur/shared/protocol/prediction.ts';
import type { TraceContext } from '@deblur/shared/protocol/trace-context.ts';
import type { JobRequest } from '../jobs/ports.ts';
import { claimRestoration, megapixelsOf, pay, type ClaimPorts } from '../restorations/claim-restoration.ts';
import { resolveModel, type AvailableModel } from '../restorations/models.ts';
import { openNamed, type NamedSourcePorts, type Naming } from '../restorations/named-source.ts';
import { requestedModel, type ModelReferences } from '../restorations/requested-model.ts';
import type { ReceivedSource } from '../sources/source-store.ts';
import type { RateAccount, RateLimits } from '../tenants/access-ports.ts';
import type { CreatedPrediction, PredictionDraft, Predictions, PredictionSource } from './ports.ts';
import { newPredictionId, newStreamSecret } from './prediction-id.ts';

export interface CreatePorts extends NamedSourcePorts, ClaimPorts {
  readonly results: ClaimPorts['results'] & NamedSourcePorts['results'];
  readonly predictions: Predictions;
  readonly rateLimits: RateLimits;
}

/** What a create says of itself, beside the picture and the options. */
export interface CreateTerms extends Naming {
  /** Whose the result is. */
  readonly scope: string;
  readonly account: RateAccount;
  /** Chosen by the caller of a PUT. */
  readonly id?: string | undefined;
  readonly trace: TraceContext;
  readonly idempotencyKey: string | null;
  readonly deadlineSeconds: number;
  readonly webhook: string | null;
  readonly webhookEvents: readonly WebhookEvent[] | null;
}

export interface CreatePredictionRequest extends CreateTerms {
  /** The bytes, or the text that names them: an address or a file's id. */
  readonly image: ReceivedSource | string;
  readonly options: Options;
  /** The options that the caller gave, as they are shown. */
  readonly given: PredictionInput;
  readonly references: ModelReferences;
}

/**
 * Creates a prediction and answers at once: its source, when that is an address, is fetched afterwards.
 * @throws {DeblurError} what is wrong with the picture, the address or the options, `model_unavailable`, `rate_limited`, and
 * what Predictions.reserve throws; nothing of the upload is left then
 */
export async function createPrediction(
  ports: CreatePorts,
  request: CreatePredictionRequest,
): Promise<CreatedPrediction> {
  let { image } = request;
  const shown = typeof image === 'string' ? image : `sha256:${image.digest}`;
  try {
    const options = { ...request.options, model: requestedModel(ports.catalogue, request.references) };
    const model = resolveModel(ports.catalogue, options.model);
    assertWebhook(ports, request);
    // An address stays a text: it is only judged here.
    if (typeof image === 'string') image = (await openNamed(ports, request, image, ASYNC_UPLOAD_MAX_BYTES)) ?? image;
    const picture = typeof image === 'string' ? image : image.digest;
    const draft = await draftOf({ ...request, options }, model, picture, { image: shown, ...request.given });
    return await createOnce(ports, request, draft, image);
  } finally {
    if (typeof image !== 'string') await image.discard();
  }
}

/** Pays for a new prediction; of equal creates at the same moment only the first stays paid. */
async function createOnce(
  ports: CreatePorts,
  { account, idempotencyKey, id }: CreatePredictionRequest,
  draft: PredictionDraft,
  image: ReceivedSource | string,
): Promise<CreatedPrediction> {
  const repeatable = { idempotencyKey, idIsChosen: id !== undefined };
  const reservation = await ports.predictions.reserve(draft, repeatable);
  if (reservation.kind === 'existing') return { snapshot: reservation.snapshot, created: false };
  const reserved = { ...draft, id: reservation.id };
  try {
    const { source, paid } = await prepareSource(ports, reserved, image);
    const created = await ports.predictions.create({ ...reserved, source }, repeatable);
    if (!created.created && paid > 0) await ports.rateLimits.refund(account, paid);
    return created;
  } catch (error) {
    await ports.predictions.release(reserved, repeatable);
    throw error;
  }
}

/** What the prediction begins with, paid for and kept. */
async function prepareSource(
  ports: CreatePorts,
  { account, scope, options, trace, deadlineSeconds }: PredictionDraft,
  image: ReceivedSource | string,
): Promise<{ readonly source: PredictionSource; readonly paid: number }> {
  const payment = { kind: 'before', account } as const;
  if (typeof image === 'string') {
    const paid = await pay(ports.rateLimits, payment, RATE_LIMIT_UNKNOWN_MEGAPIXELS);
    return { source: { kind: 'url', url: image }, paid };
  }
  const claimed = await claimRestoration(ports, {
    scope,
    source: image,
    options,
    accept: null,
    trace,
    payment,
    deadlineSeconds,
  });
  const { job, paid } = claimed;
  if (claimed.kind === 'stored') await claimed.result.body.cancel();
  const result = claimed.kind === 'stored' ? { placement: claimed.result.placement } : null;
  return { source: { kind: 'planned', job, megapixels: megapixelsOf(image), result }, paid };
}

/** A caller without a key has no secret to check signatures by, and could have us call any address. */
function assertWebhook({ checkUrl }: CreatePorts, { webhook, account }: CreateTerms): void {
  if (webhook === null) return;
  if (account.tier === 'anonymous') throw keyNeededForWebhooks();
  checkUrl(webhook);
}

/** A prediction of a job that was asked for already: what `POST /v1/deblur` answers with when its wait expires. */
export async function predictJob(
  { predictions }: Pick<CreatePorts, 'predictions'>,
  terms: CreateTerms,
  planned: {
    readonly job: JobRequest;
    readonly source: ReceivedSource;
    readonly options: Options;
    readonly given: PredictionInput;
  },
): Promise<CreatedPrediction> {
  const { job, source, options, given } = planned;
  const { model: name, modelVersion: version } = job.task;
  const input = { image: `sha256:${source.digest}`, ...given };
  const draft = await draftOf({ ...terms, options }, { name, version }, source.digest, input);
  // An upload is its own idempotency key: the same bytes hit.
  return predictions.create(
    { ...draft, source: { kind: 'planned', job, megapixels: megapixelsOf(source), result: null } },
    { idempotencyKey: null, idIsChosen: false },
  );
}

/** @param picture its digest, or the address under which it is to be fetched */
async function draftOf(
  terms: CreateTerms & Pick<CreatePredictionRequest, 'options'>,
  { name, version }: Pick<AvailableModel, 'name' | 'version'>,
  picture: string,
  input: PredictionInput,
): Promise<PredictionDraft> {
  const { tenantId, scope, account, id = newPredictionId(), origin, trace, options } = terms;
  const { deadlineSeconds, webhook, webhookEvents } = terms;
  // The same picture as a form and as JSON is the same request. So is a retry after another model has become the best.
  const fingerprint = await sha256Hex(
    JSON.stringify([picture, Object.entries(options).sort(), deadlineSeconds, webhook, webhookEvents]),
  );
  return {
    tenantId,
    scope,
    account,
    id,
    fingerprint,
    streamSecret: newStreamSecret(),
    origin,
    trace,
    model: `${MODEL_OWNER}/${name}`,
    modelVersion: version,
    options: { ...options, model: name },
    input,
    deadlineSeconds,
    webhook,
    webhookEvents,
  };
}
