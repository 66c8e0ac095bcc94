/** One upload in, one stored result out: the decisions of `POST /v1/deblur`, without HTTP. */
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import { resolveModel, type Catalogue } from './models.ts';
import { megapixelsOf, planJob, type JobQuestion } from './plan.ts';
import type { CacheStatus, JobReport, JobRequest, Jobs, Subscription } from '../jobs/ports.ts';
import type { ReceivedSource, StoredBody } from '../sources/ports.ts';
import type { ResultStore, StoredResult } from '../results/ports.ts';
import type { Tenant } from '../tenants/access-ports.ts';
import { toldCache, type References } from '../references/ports.ts';
import { withTimeout } from '../with-timeout.ts';

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
  /** The prediction that the request becomes when its wait expires; the job knows the waiting request by this name. */
  readonly subscriberId: string;
  /** From now on; what is not done by then is given up. */
  readonly deadlineSeconds: number;
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
  /** Milliseconds since the epoch. */
  readonly deadlineAt: number;
  /** See PredictionSource. */
  readonly tellsCache: boolean;
}

/**
 * Answers from the store when it can, before a pixel is decoded; otherwise keeps the source, asks the job of its
 * RestorationKey and waits. Leaves nothing of the upload behind when it did not need it.
 *
 * @throws {DeblurError} `model_unavailable`, `not_acceptable`, `rate_limited`, `deadline_exceeded`, `gone`, and why a job failed
 */
export async function deblur(ports: DeblurPorts, command: DeblurCommand): Promise<Deblurred | Pending> {
  const { source, tenant } = command;
  const deadlineAt = Date.now() + command.deadlineSeconds * 1000;
  try {
    const request = await planJob(resolveModel(ports.catalogue, command.options.model), command);
    const { resultKey } = request.task;
    // Before anything is written: who cannot pay leaves nothing. What is there is asked for again below, once it is held.
    if ((await ports.results.head('result', resultKey)) === null) await command.pay(megapixelsOf(source));
    const { own } = await ports.references.acquire(tenant.id, { request, header: source.header });
    const tellsCache = own || ports.sharedCache;
    const started = Date.now();
    const stored = await ports.results.get('result', resultKey);
    const lookupMs = Date.now() - started;
    if (stored !== null) return { result: stored, cache: toldCache('hit', tellsCache), cost: 'hit', lookupMs };

    await source.keep();
    const waiter = { subscriberId: command.subscriberId, deadlineAt };
    const job = await waitedFor(ports.jobs, request, waiter, command);
    if (job === null) return { pending: request, tellsCache, deadlineAt };
    const result = await ports.results.get('result', resultKey);
    // What is stored stays, unless its last holder lets go of it.
    if (result === null) throw new DeblurError('gone', 'The result was erased while it was made.');
    return { result, cache: toldCache(job.cache, tellsCache), cost: job.cache, lookupMs, job };
  } finally {
    await source.discard();
  }
}

/**
 * Null when it takes longer than the wait.
 * @throws {DeblurError} `deadline_exceeded`: the job, which knows the deadline too, ends without being told
 */
async function waitedFor(
  jobs: Jobs,
  request: JobRequest,
  waiter: Subscription,
  { waitSeconds, deadlineSeconds }: DeblurCommand,
): Promise<JobReport | null> {
  if (waitSeconds === 0) return null;
  const expired = new DeblurError('deadline_exceeded', 'The deadline has passed.');
  try {
    return await withTimeout(
      jobs.obtain(request, waiter),
      Math.min(waitSeconds, deadlineSeconds) * 1000,
      () => expired,
    );
  } catch (error) {
    if (error === expired && waitSeconds < deadlineSeconds) return null;
    throw error;
  }
}
