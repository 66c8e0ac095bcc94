/** A task of a job: one encoded result, and how far the work on it is. */
import type { WireError } from '@deblur/shared/protocol/errors.ts';
import type { RestoreReport } from '@deblur/shared/protocol/runner-api.ts';
import { storedJobRequest, type JobRequest } from './ports.ts';
import { parseStored, type Placement } from '../results/stored-result.ts';
import type { RunnerOperation } from '../runners/ports.ts';

export type TaskState = 'queued' | 'running' | 'succeeded' | 'failed' | 'canceled';

export interface Task {
  readonly key: string;
  readonly request: JobRequest;
  readonly state: TaskState;
  readonly attempt: number;
  readonly operation: RunnerOperation['operation'] | null;
  /** The attempt's prediction at a remote runner; kept while it may be alive there. */
  readonly runnerPredictionId: string | null;
  readonly accepted: boolean;
  readonly callsBack: boolean;
  readonly dueAt: number;
  readonly queuedAt: number;
  readonly claimedAt: number;
  /** When work began, the first time since it was queued. */
  readonly processingAt: number | null;
  readonly finishedAt: number;
  readonly error: WireError | null;
  readonly report: RestoreReport | null;
}

/** Of the table `job_task` (schema.ts). */
export type TaskRow = Record<string, SqlStorageValue>;

/** Where the work of a task is done. */
export function placementOf({ operation, request }: Task): Placement {
  return operation === 'encode' ? request.encodePlacement : request.placement;
}

/** The casts trust what JobTable wrote, in this version or the one before. */
export function taskOf(row: TaskRow): Task {
  const json = <T>(text: SqlStorageValue | undefined): T => parseStored(text as string);
  return {
    key: row['result_key'] as string,
    request: storedJobRequest(row['request'] as string),
    state: row['state'] as TaskState,
    attempt: row['attempt'] as number,
    operation: row['operation'] as RunnerOperation['operation'] | null,
    runnerPredictionId: row['runner_prediction_id'] as string | null,
    accepted: row['accepted'] === 1,
    callsBack: row['calls_back'] === 1,
    dueAt: row['due_at'] as number,
    queuedAt: row['queued_at'] as number,
    claimedAt: (row['claimed_at'] ?? row['queued_at']) as number,
    processingAt: row['processing_at'] as number | null,
    finishedAt: (row['finished_at'] ?? 0) as number,
    error:
      row['error_code'] === null
        ? null
        : { code: row['error_code'] as WireError['code'], detail: row['error_detail'] as string },
    report: row['report'] === null ? null : json(row['report']),
  };
}
