/** A prediction's address → its source, kept if it is needed, and the job that it makes. */
import { DeblurError, toWireError, type WireError } from '@deblur/shared/protocol/errors.ts';
import { RATE_LIMIT_UNKNOWN_MEGAPIXELS } from '@deblur/shared/limits.ts';
import { unpaid, type RateLimits } from '../tenants/access-ports.ts';
import { resolveModel, type Catalogue } from '../restorations/models.ts';
import { megapixelsOf, planJob } from '../restorations/plan.ts';
import type { JobRequest } from '../jobs/ports.ts';
import type { ResultStore } from '../results/ports.ts';
import type { SourceStore } from '../sources/ports.ts';
import type { References } from '../references/ports.ts';
import type { SourceFetcher } from '../sources/ports.ts';
import type { PredictionState } from './prediction-table.ts';

export interface TakeInPorts {
  readonly catalogue: Catalogue;
  readonly results: ResultStore;
  readonly sources: Pick<SourceStore, 'receive'>;
  /** Asks once: what may pass is tried again by the alarm. */
  readonly sourceFetcher: Pick<SourceFetcher, 'fetch'>;
  readonly references: Pick<References, 'acquire'>;
  /** Whether a tenant is told that another one had asked before. */
  readonly sharedCache: boolean;
}

export interface TakenIn {
  readonly job: JobRequest;
  readonly megapixels: number;
  readonly tellsCache: boolean;
  /** What is there already; then the source was not kept. */
  readonly stored: Awaited<ReturnType<ResultStore['head']>>;
}

/**
 * Changes nothing of the prediction, and may be done twice: what it stores is named by its content.
 * @throws {DeblurError} what is wrong with the source, `model_unavailable`
 * @throws the signal's reason
 */
export async function takeIn(
  { options, sourceUrl, tenantId, trace }: PredictionState,
  { catalogue, results, references, sources, sourceFetcher, sharedCache }: TakeInPorts,
  signal: AbortSignal,
): Promise<TakenIn> {
  if (sourceUrl === null) throw new DeblurError('internal', 'The source is not known.');
  const model = resolveModel(catalogue, options.model);
  const source = await sources.receive(await sourceFetcher.fetch(sourceUrl, signal));
  try {
    const job = await planJob(model, { source, options, accept: null, trace });
    const { own } = await references.acquire(tenantId, { request: job, header: source.header });
    const stored = await results.head('result', job.task.resultKey);
    if (stored === null) await source.keep();
    return { job, megapixels: megapixelsOf(source), tellsCache: own || sharedCache, stored };
  } finally {
    await source.discard();
  }
}

/**
 * What a source costs beyond what was paid before its size was known; asked for once, after the prediction knows its job: a
 * crash in between is on us.
 * @returns why the job is not begun; null when it is paid for
 */
export async function payRest(
  { account }: Pick<PredictionState, 'account'>,
  rateLimits: Pick<RateLimits, 'charge'>,
  megapixels: number,
): Promise<WireError | null> {
  const rest = megapixels - RATE_LIMIT_UNKNOWN_MEGAPIXELS;
  if (rest <= 0) return null;
  const charge = await rateLimits.charge(account, rest);
  return charge.allowed ? null : toWireError(unpaid(rest, charge));
}
