/** One upload in, one stored result out: the decisions of `POST /v1/deblur`, without HTTP. */
import { deadlineExceeded, gone } from '@deblur/shared/protocol/errors.ts';
import type { CacheStatus, JobReport, JobRequest, Jobs, Subscription } from '../jobs/ports.ts';
import type { StoredResult } from '../results/stored-result.ts';
import type { StoredBody } from '../sources/source-store.ts';
import { withTimeout } from '../with-timeout.ts';
import { claimRestoration, type Claim, type ClaimPorts } from './claim-restoration.ts';

export interface DeblurPorts extends ClaimPorts {
  readonly jobs: Pick<Jobs, 'obtain'>;
}

export interface DeblurCommand extends Claim {
  /** 0: a result that is stored already, or none. */
  readonly waitSeconds: number;
  /** The prediction that the request becomes when its wait expires; the job knows the waiting request by this name. */
  readonly subscriberId: string;
  /** From now on; work that is not done by then is abandoned. */
  readonly deadlineSeconds: number;
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
  /** Milliseconds since the epoch. */
  readonly deadlineAt: number;
}

/**
 * Answers from the store when it can; otherwise asks the job of the RestorationKey and waits. Leaves nothing of an upload
 * behind that was not needed.
 *
 * @throws {DeblurError} `model_unavailable`, `not_acceptable`, `rate_limited`, `deadline_exceeded`, `gone`, and why a job failed
 */
export async function deblur(ports: DeblurPorts, command: DeblurCommand): Promise<Deblurred | Pending> {
  const started = Date.now();
  const deadlineAt = started + command.deadlineSeconds * 1000;
  try {
    const claimed = await claimRestoration(ports, command);
    const lookupMs = Date.now() - started;
    if (claimed.kind === 'stored') return { result: claimed.result, cache: 'hit', lookupMs };
    const waiter = { subscriberId: command.subscriberId, deadlineAt };
    const job = await waitedFor(ports.jobs, claimed.job, waiter, command);
    if (job === null) return { pending: claimed.job, deadlineAt };
    const result = await ports.results.get('result', claimed.job.task.resultKey);
    if (result?.kind !== 'stored') throw gone('result');
    return { result, cache: job.cache, lookupMs, job };
  } finally {
    await command.source.discard();
  }
}

/**
 * Null when it takes longer than the wait.
 * @throws {DeblurError} `deadline_exceeded`: the job, which knows the deadline too, ends without being told
 */
async function waitedFor(
  jobs: Pick<Jobs, 'obtain'>,
  request: JobRequest,
  waiter: Subscription,
  { waitSeconds, deadlineSeconds }: DeblurCommand,
): Promise<JobReport | null> {
  if (waitSeconds === 0) return null;
  const expired = deadlineExceeded(deadlineSeconds);
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
