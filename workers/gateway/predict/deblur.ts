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
} from './ports.ts';
import { within } from './within.ts';

export interface DeblurPorts {
  readonly catalogue: Catalogue;
  readonly results: ResultStore;
  readonly jobs: Jobs;
}

export interface DeblurCommand extends JobQuestion {
  readonly source: ReceivedSource;
  /** 0: a result that is there already, or none. */
  readonly waitSeconds: number;
  /** Pays for an inference; a hit is free. @throws {DeblurError} `rate_limited` */
  readonly pay: (megapixels: number) => Promise<void>;
}

export interface Deblurred {
  readonly result: StoredResult & StoredBody;
  readonly cache: CacheStatus;
  readonly lookupMs: number;
  /** Absent on a hit that no job was asked for. */
  readonly job?: JobReport;
}

/** The wait has expired. The source is kept, and the work, if it has begun, goes on. */
export interface Pending {
  readonly pending: JobRequest;
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
    const started = Date.now();
    const stored = await ports.results.get('result', resultKey);
    const lookupMs = Date.now() - started;
    if (stored !== null) return { result: stored, cache: 'hit', lookupMs };

    await command.pay(megapixelsOf(source));
    await source.keep();
    const job = waitSeconds === 0 ? null : await jobWithin(ports.jobs.obtain(request), waitSeconds);
    if (job === null) return { pending: request };
    const result = await ports.results.get('result', resultKey);
    if (result === null) throw new DeblurError('internal', 'The result was stored and is not there.');
    return { result, cache: job.cache, lookupMs, job };
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
