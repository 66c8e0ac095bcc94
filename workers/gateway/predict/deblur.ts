/** One upload in, one stored result out: the decisions of `POST /v1/deblur`, without HTTP. */
import { negotiateFormat } from '@deblur/shared/accept.ts';
import { DeblurError } from '@deblur/shared/errors.ts';
import { RETRY_AFTER_SECONDS } from '@deblur/shared/limits.ts';
import type { EncodeOptions, Options } from '@deblur/shared/options.ts';
import { canonicalEncoding, restorationKey, resultKey } from '@deblur/shared/result-key.ts';
import { resolveModel, type AvailableModel, type Catalogue } from './models.ts';
import { placeEncoding, placeRestoration } from './placement.ts';
import type {
  CacheStatus,
  JobReport,
  JobRequest,
  Jobs,
  ReceivedSource,
  RestorationTask,
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

export interface DeblurCommand {
  readonly source: ReceivedSource;
  readonly options: Options;
  /** The caller's `Accept`, which decides `format=auto`. */
  readonly accept: string | null;
  readonly waitSeconds: number;
}

export interface Deblurred {
  readonly result: StoredResult & StoredBody;
  readonly cache: CacheStatus;
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
    const task = await taskOf(command, model);
    const started = Date.now();
    const stored = await ports.results.get('result', task.resultKey);
    const lookupMs = Date.now() - started;
    if (stored !== null) return { result: stored, cache: 'hit', lookupMs };

    await source.keep();
    const job = await within(ports.jobs.obtain(jobRequest(command, model, task)), command.waitSeconds * 1000, () =>
      waitExpired(command.waitSeconds),
    );
    const result = await ports.results.get('result', task.resultKey);
    if (result === null) throw new DeblurError('internal', 'The result was stored and is not there.');
    return { result, cache: job.cache, lookupMs, job };
  } finally {
    await source.discard();
  }
}

async function taskOf({ source, options, accept }: DeblurCommand, model: AvailableModel): Promise<RestorationTask> {
  const encoding: EncodeOptions = canonicalEncoding({
    format: options.format === 'auto' ? negotiateFormat(accept, source.header.format) : options.format,
    quality: options.quality,
    metadata: options.metadata,
  });
  const { tile } = options;
  const restoration = { sourceDigest: source.digest, model: model.name, modelVersion: model.version };
  const key = await restorationKey({ ...restoration, tile });
  return {
    ...restoration,
    ...(tile === undefined ? {} : { tile }),
    restorationKey: key,
    resultKey: await resultKey(key, encoding),
    encoding,
  };
}

function jobRequest({ source }: DeblurCommand, model: AvailableModel, task: RestorationTask): JobRequest {
  const question = { header: source.header, bytes: source.bytes, output: task.encoding.format };
  return {
    task,
    placement: placeRestoration({ ...question, placements: model.placements, tile: task.tile }),
    encodePlacement: placeEncoding(question),
  };
}

function waitExpired(seconds: number): DeblurError {
  const detail = `The picture was not ready within ${seconds} s. The work goes on; the same upload gets its result later.`;
  return new DeblurError('wait_expired', detail, { retryAfterSeconds: RETRY_AFTER_SECONDS });
}
