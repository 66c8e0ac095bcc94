/** One upload in, one stored result out: the decisions of `POST /v1/deblur`, without HTTP. */
import { DeblurError } from '@deblur/shared/errors.ts';
import { RETRY_AFTER_SECONDS } from '@deblur/shared/limits.ts';
import type { Options } from '@deblur/shared/options.ts';
import { resolveModel, type Catalogue } from './models.ts';
import { planJob } from './plan.ts';
import type {
  CacheStatus,
  JobReport,
  Jobs,
  ReceivedSource,
  ResultStore,
  StoredBody,
  StoredResult,
  Tenant,
} from './ports.ts';
import type { References } from './result-ports.ts';
import { within } from './within.ts';

export interface DeblurPorts {
  readonly catalogue: Catalogue;
  readonly results: ResultStore;
  readonly jobs: Jobs;
  readonly references: References;
  /** Whether a tenant is told that another one had asked before. */
  readonly sharedCache: boolean;
}

export interface DeblurCommand {
  readonly tenant: Tenant;
  readonly source: ReceivedSource;
  readonly options: Options;
  /** The caller's `Accept`, which decides `format=auto`. */
  readonly accept: string | null;
  readonly waitSeconds: number;
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

/**
 * Answers from the store when it can, before a pixel is decoded and before a placement is chosen; otherwise keeps the
 * source, asks the job of its RestorationKey and waits. Leaves nothing of the upload behind when it did not need it.
 *
 * @throws {DeblurError} `model_unavailable`, `not_acceptable`, `wait_expired` (the work goes on), and why a job failed
 */
export async function deblur(ports: DeblurPorts, command: DeblurCommand): Promise<Deblurred> {
  const { source } = command;
  try {
    const model = resolveModel(ports.catalogue, command.options.model);
    const request = await planJob(model, command);
    const { resultKey } = request.task;
    const { own } = await ports.references.acquire(command.tenant.id, { request, header: source.header });
    const told = (cache: CacheStatus): CacheStatus => (own || ports.sharedCache ? cache : 'miss');
    const started = Date.now();
    const stored = await ports.results.get('result', resultKey);
    const lookupMs = Date.now() - started;
    if (stored !== null) return { result: stored, cache: told('hit'), cost: 'hit', lookupMs };

    await source.keep();
    const job = await within(ports.jobs.obtain(request), command.waitSeconds * 1000, () =>
      waitExpired(command.waitSeconds),
    );
    const result = await ports.results.get('result', resultKey);
    if (result === null) throw new DeblurError('internal', 'The result was stored and is not there.');
    return { result, cache: told(job.cache), cost: job.cache, lookupMs, job };
  } finally {
    await source.discard();
  }
}

function waitExpired(seconds: number): DeblurError {
  const detail = `The picture was not ready within ${seconds} s. The work goes on; the same upload gets its result later.`;
  return new DeblurError('wait_expired', detail, { retryAfterSeconds: RETRY_AFTER_SECONDS });
}
