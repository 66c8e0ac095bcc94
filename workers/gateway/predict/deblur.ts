/** One upload in, one stored result out: the decisions of `POST /v1/deblur`, without HTTP. */
import { DeblurError } from '@deblur/shared/errors.ts';
import { resolveModel, type Catalogue } from './models.ts';
import { megapixelsOf, planJob, type JobQuestion } from './plan.ts';
import type {
  CacheStatus,
  JobReport,
  JobRequest,
  Jobs,
  ReceivedSource,
  ResultStore,
  StoredBody,
  StoredResult,
  Tenant,
} from './ports.ts';
import { toldCache, type References } from './result-ports.ts';
import { within } from './within.ts';

export interface DeblurPorts {
  readonly catalogue: Catalogue;
  readonly results: ResultStore;
  readonly jobs: Jobs;
  readonly references: References;
  /** Whether a tenant is told that another one had asked before. */
  readonly sharedCache: boolean;
}

export interface DeblurCommand extends JobQuestion {
  readonly tenant: Tenant;
  readonly source: ReceivedSource;
  /** 0: a result that is there already, or none. */
  readonly waitSeconds: number;
  /** Pays for an inference; a hit is free. @throws {DeblurError} `rate_limited` */
  readonly pay: (megapixels: number) => Promise<void>;
}

export interface Deblurred {
  readonly result: StoredResult & StoredBody;
  /** What the caller is told. */
  readonly cache: CacheStatus;
  /** What it cost: the same, but for what other tenants had asked for. */
  readonly cost: CacheStatus;
  readonly lookupMs: number;
  /** Absent on a hit that no job was asked for. */
  readonly job?: JobReport;
}

/** The wait has expired. The source is kept, and the work, if it has begun, goes on. */
export interface Pending {
  readonly pending: JobRequest;
  /** See PredictionSource. */
  readonly tellsCache: boolean;
}

/**
 * Answers from the store when it can, before a pixel is decoded; otherwise keeps the source, asks the job of its
 * RestorationKey and waits. Leaves nothing of the upload behind when it did not need it.
 *
 * @throws {DeblurError} `model_unavailable`, `not_acceptable`, `rate_limited`, and why a job failed
 */
export async function deblur(ports: DeblurPorts, command: DeblurCommand): Promise<Deblurred | Pending> {
  const { source, waitSeconds } = command;
  try {
    const request = await planJob(resolveModel(ports.catalogue, command.options.model), command);
    const { resultKey } = request.task;
    // Before anything is written: who cannot pay leaves nothing. What is there is asked for again below, once it is held.
    if ((await ports.results.head('result', resultKey)) === null) await command.pay(megapixelsOf(source));
    const { own } = await ports.references.acquire(command.tenant.id, { request, header: source.header });
    const tellsCache = own || ports.sharedCache;
    const started = Date.now();
    const stored = await ports.results.get('result', resultKey);
    const lookupMs = Date.now() - started;
    if (stored !== null) return { result: stored, cache: toldCache('hit', tellsCache), cost: 'hit', lookupMs };

    await source.keep();
    const job = waitSeconds === 0 ? null : await jobWithin(ports.jobs.obtain(request), waitSeconds);
    if (job === null) return { pending: request, tellsCache };
    const result = await ports.results.get('result', resultKey);
    if (result === null) throw new DeblurError('internal', 'The result was stored and is not there.');
    return { result, cache: toldCache(job.cache, tellsCache), cost: job.cache, lookupMs, job };
  } finally {
    await source.discard();
  }
}

/** Null when it takes longer. */
async function jobWithin(job: Promise<JobReport>, seconds: number): Promise<JobReport | null> {
  const expired = new Error('the wait expired');
  try {
    return await within(job, seconds * 1000, () => expired);
  } catch (error) {
    if (error === expired) return null;
    throw error;
  }
}
