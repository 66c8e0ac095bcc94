/** The decisions of a create, whatever form it came in. */
import { sha256Hex } from '@deblur/shared/net/digest.ts';
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import { ASYNC_UPLOAD_MAX_BYTES, RATE_LIMIT_UNKNOWN_MEGAPIXELS } from '@deblur/shared/limits.ts';
import type { Options } from '@deblur/shared/protocol/options.ts';
import type { TraceContext } from '@deblur/shared/protocol/trace-context.ts';
import { MODEL_OWNER, type PredictionInput, type WebhookEvent } from '@deblur/shared/protocol/prediction.ts';
import { resolveModel, type AvailableModel, type Catalogue } from '../restorations/models.ts';
import { openNamed, type NamedSourcePorts, type Naming } from '../restorations/named-source.ts';
import { megapixelsOf, planJob } from '../restorations/plan.ts';
import type { JobRequest } from '../jobs/ports.ts';
import type { ReceivedSource } from '../sources/ports.ts';
import type { RateAccount, RateLimits } from '../tenants/access-ports.ts';
import type { References } from '../references/ports.ts';
import { requestedModel, type ModelReferences } from '../restorations/requested-model.ts';
import { newPredictionId, newStreamSecret } from './prediction-id.ts';
import type { CreatedPrediction, PredictionDraft, Predictions, PredictionSource } from './ports.ts';

export interface CreatePorts extends NamedSourcePorts {
  readonly catalogue: Catalogue;
  readonly references: References;
  /** Whether a tenant is told that another one had asked before. */
  readonly sharedCache: boolean;
  readonly predictions: Predictions;
  readonly rateLimits: RateLimits;
}

/** What a create says of itself, beside the picture and the options. */
export interface CreateTerms extends Naming {
  readonly account: RateAccount;
  /** Pays for an inference; a hit is free. @throws {DeblurError} `rate_limited` */
  readonly pay: (megapixels: number) => Promise<void>;
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
 * @throws {DeblurError} what is wrong with the picture, the address or the options, `model_unavailable`, and what
 * Predictions.create throws; nothing of the upload is left then
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
    // What lies elsewhere stays a text: it is only judged here.
    if (typeof image === 'string') image = (await openNamed(ports, request, image, ASYNC_UPLOAD_MAX_BYTES)) ?? image;
    const picture = typeof image === 'string' ? image : image.digest;
    const draft = await draftOf({ ...request, options }, model, picture, { image: shown, ...request.given });
    return await createPaid(ports, request, draft, image, model);
  } finally {
    if (typeof image !== 'string') await image.discard();
  }
}

/** Pays for what is new; of equal creates at the same moment only the first stays paid. */
async function createPaid(
  ports: CreatePorts,
  request: CreatePredictionRequest,
  draft: PredictionDraft,
  image: ReceivedSource | string,
  model: AvailableModel,
): Promise<CreatedPrediction> {
  const { account, idempotencyKey, id } = request;
  let paid = 0;
  const pay = async (megapixels: number): Promise<void> => {
    await request.pay(megapixels);
    paid += megapixels;
  };
  const created = await ports.predictions.create(draft, { idempotencyKey, idIsChosen: id !== undefined }, () =>
    sourceOf(ports, { ...request, pay }, { model, options: draft.options }, image),
  );
  if (!created.created && paid > 0) await ports.rateLimits.refund(account, paid);
  return created;
}

/** Who has no key has no secret to check signatures by, and would have us call whom they like. */
function assertWebhook({ checkUrl }: CreatePorts, { webhook, account }: CreateTerms): void {
  if (webhook === null) return;
  if (account.tier === 'anonymous') throw new DeblurError('unauthorized', 'Webhooks need an API key.');
  checkUrl(webhook);
}

/** A prediction of a job that somebody has already asked for: what `POST /v1/deblur` answers with when its wait expires. */
export async function predictJob(
  ports: Pick<CreatePorts, 'predictions'>,
  terms: CreateTerms,
  {
    options,
    given,
    ...planned
  }: { job: JobRequest; tellsCache: boolean; options: Options; given: PredictionInput; megapixels: number },
): Promise<CreatedPrediction> {
  const { model: name, modelVersion: version, sourceDigest } = planned.job.task;
  const source = { kind: 'planned', ...planned, result: null } as const;
  const input = { image: `sha256:${sourceDigest}`, ...given };
  const draft = await draftOf({ ...terms, options }, { name, version }, sourceDigest, input);
  // An upload is its own idempotency key: the same bytes hit.
  return ports.predictions.create(draft, { idempotencyKey: null, idIsChosen: false }, async () => source);
}

async function sourceOf(
  { results, references, sharedCache }: CreatePorts,
  { tenantId, pay, trace }: CreateTerms,
  { model, options }: { model: AvailableModel; options: Options },
  received: ReceivedSource | string,
): Promise<PredictionSource> {
  if (typeof received === 'string') {
    await pay(RATE_LIMIT_UNKNOWN_MEGAPIXELS);
    return { kind: 'url', url: received };
  }
  const job = await planJob(model, { source: received, options, accept: null, trace });
  const { resultKey } = job.task;
  // Before anything is written: who cannot pay leaves nothing. What is there is asked for again below, once it is held.
  if ((await results.head('result', resultKey)) === null) await pay(megapixelsOf(received));
  const { own } = await references.acquire(tenantId, { request: job, header: received.header });
  const result = await results.head('result', resultKey);
  if (result === null) await received.keep();
  return {
    kind: 'planned',
    job,
    megapixels: megapixelsOf(received),
    tellsCache: own || sharedCache,
    result: result && { placement: result.placement, model: result.model, modelVersion: result.modelVersion },
  };
}

/** @param picture its digest, or the address under which it is to be fetched */
async function draftOf(
  terms: CreateTerms & Pick<CreatePredictionRequest, 'options'>,
  { name, version }: Pick<AvailableModel, 'name' | 'version'>,
  picture: string,
  input: PredictionInput,
): Promise<PredictionDraft> {
  const { tenantId, account, id = newPredictionId(), origin, trace, options } = terms;
  const { deadlineSeconds, webhook, webhookEvents } = terms;
  // Of what was meant, not of how it was written: the same picture as a form and as JSON is the same request. Nor of what
  // it means today: a retry is the same request although another model is the best by then.
  const fingerprint = await sha256Hex(
    JSON.stringify([picture, Object.entries(options).sort(), deadlineSeconds, webhook, webhookEvents]),
  );
  const model = `${MODEL_OWNER}/${name}`;
  return {
    tenantId,
    account,
    id,
    fingerprint,
    streamSecret: newStreamSecret(),
    origin,
    trace,
    model,
    modelVersion: version,
    options: { ...options, model: name },
    input,
    deadlineSeconds,
    webhook,
    webhookEvents,
  };
}
