/**
 * The durable half of a prediction: one row. Two states, each changed only by a compare-and-set on what it was:
 *
 *   status  starting → processing → succeeded | failed | canceled    (also straight from starting; what is terminal stays)
 *   work    what the object still has to do for it:
 *           fetch → submit → joined → done                            (joined: the job works and tells)
 *           fetch → done, submit | joined → leave → done              (the prediction ended before its job)
 */
import type { WireError } from '@deblur/shared/protocol/errors.ts';
import type { Options } from '@deblur/shared/protocol/options.ts';
import type { PredictionMetrics, PredictionStatus } from '@deblur/shared/protocol/prediction.ts';
import type { PredictionCommand } from './ports.ts';
import type { TraceContext } from '@deblur/shared/protocol/trace-context.ts';
import { storedJobRequest, type JobRequest } from '../jobs/ports.ts';
import { parseStored } from '../results/stored-result.ts';
import type { PredictionRecord } from './present-prediction.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS prediction (
    only_row       INTEGER PRIMARY KEY CHECK (only_row = 1),
    command        TEXT NOT NULL,     -- PredictionCommand as JSON, without its source's job
    status         TEXT NOT NULL CHECK (status IN ('starting', 'processing', 'succeeded', 'failed', 'canceled')),
    work           TEXT NOT NULL CHECK (work IN ('fetch', 'submit', 'joined', 'leave', 'done')),
    attempt        INTEGER NOT NULL,  -- tries of the present work that were begun
    retry_at       INTEGER,           -- when the next is due; milliseconds since the epoch, as every time here
    job            TEXT,              -- JobRequest as JSON, once the picture is known
    model_version  TEXT NOT NULL,
    megapixels     REAL,
    sequence       INTEGER NOT NULL,  -- of the last job event that counted
    progress_done  INTEGER,
    progress_total INTEGER,
    error_code     TEXT,
    error_detail   TEXT,
    metrics        TEXT,              -- PredictionMetrics as JSON, once it is terminal
    created_at     INTEGER NOT NULL,
    started_at     INTEGER,
    completed_at   INTEGER,
    deadline_at    INTEGER NOT NULL,
    data_removed   INTEGER NOT NULL,
    revision       INTEGER NOT NULL,  -- grows with each change that a caller can see
    started_revision INTEGER
  ) STRICT`;

export type PredictionStep = 'fetch' | 'submit' | 'joined' | 'leave' | 'done';

/** Everything that is known of a prediction. */
export interface PredictionState extends PredictionRecord {
  readonly trace: TraceContext | undefined;
  readonly scope: string;
  readonly account: PredictionCommand['account'];
  readonly fingerprint: string;
  readonly options: Options;
  readonly sourceUrl: string | null;
  readonly work: PredictionStep;
  readonly attempt: number;
  readonly retryAt: number | null;
  readonly job: JobRequest | null;
  readonly megapixels: number | null;
  readonly deadlineAt: number;
  readonly revision: number;
  readonly startedRevision: number | null;
}

export interface Ending {
  readonly status: 'succeeded' | 'failed' | 'canceled';
  readonly error: WireError | null;
  readonly metrics: PredictionMetrics;
  readonly startedAt?: number | undefined;
}

interface Row extends Record<string, SqlStorageValue> {
  command: string;
  status: PredictionStatus;
  work: PredictionStep;
  attempt: number;
  retry_at: number | null;
  job: string | null;
  model_version: string;
  megapixels: number | null;
  progress_done: number | null;
  progress_total: number | null;
  error_code: WireError['code'] | null;
  error_detail: string | null;
  metrics: string | null;
  created_at: number;
  started_at: number | null;
  completed_at: number | null;
  deadline_at: number;
  data_removed: number;
  revision: number;
  started_revision: number | null;
}

const UNDER_WAY = `status IN ('starting', 'processing')`;

export class PredictionTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** False when the prediction is there already. */
  insert(command: PredictionCommand, now: number): boolean {
    const { source, modelVersion, deadlineSeconds } = command;
    const planned = source.kind === 'planned' ? source : null;
    this.#sql.exec(SCHEMA);
    return this.#changes(
      `INSERT OR IGNORE INTO prediction (only_row, command, status, work, attempt, job, model_version, megapixels,
         sequence, created_at, deadline_at, data_removed, revision)
       VALUES (1, ?, 'starting', ?, 0, ?, ?, ?, -1, ?, ?, 0, 1)`,
      JSON.stringify({ ...command, source: source.kind === 'url' ? source : null }),
      planned === null ? 'fetch' : 'submit',
      planned && JSON.stringify(planned.job),
      modelVersion,
      planned && planned.megapixels,
      now,
      now + deadlineSeconds * 1000,
    );
  }

  /** For a new object in memory: the try of its predecessor is over. */
  recover(): void {
    if (this.#exists()) this.#sql.exec('UPDATE prediction SET retry_at = NULL WHERE retry_at IS NOT NULL');
  }

  /** Undefined when there is no such prediction. Asking creates nothing: every well-formed id reaches some object. */
  read(): PredictionState | undefined {
    if (!this.#exists()) return undefined;
    const [row] = this.#sql.exec<Row>('SELECT * FROM prediction').toArray();
    return row && stateOf(row);
  }

  /** The picture is there and known. */
  plan(job: JobRequest, megapixels: number): boolean {
    return this.#changes(
      `UPDATE prediction SET work = 'submit', attempt = 0, retry_at = NULL, job = ?, model_version = ?, megapixels = ?,
         revision = revision + 1
       WHERE work = 'fetch'`,
      JSON.stringify(job),
      job.task.modelVersion,
      megapixels,
    );
  }

  /** A step is done; nothing changes when the work went another way meanwhile. */
  proceed(from: 'submit' | 'leave', to: 'joined' | 'done'): void {
    this.#changes('UPDATE prediction SET work = ?, attempt = 0, retry_at = NULL WHERE work = ?', to, from);
  }

  /** A try begins, and counts: should the object die in it, the alarm at `watchedUntil` begins the next. */
  attempt(work: PredictionStep, watchedUntil: number): void {
    this.#changes('UPDATE prediction SET attempt = attempt + 1, retry_at = ? WHERE work = ?', watchedUntil, work);
  }

  /** The try has failed; the next one is due then. */
  retry(work: PredictionStep, at: number): void {
    this.#changes('UPDATE prediction SET retry_at = ? WHERE work = ?', at, work);
  }

  /** False when this event, or a later one, has counted already. */
  #accept(sequence: number): boolean {
    return this.#changes(`UPDATE prediction SET sequence = ? WHERE sequence < ? AND ${UNDER_WAY}`, sequence, sequence);
  }

  begin(sequence: number, startedAt: number): boolean {
    return this.#accept(sequence) && this.#start(startedAt);
  }

  #start(startedAt: number): boolean {
    return this.#changes(
      `UPDATE prediction SET status = 'processing', started_at = max(?, created_at), revision = revision + 1,
         started_revision = revision + 1
       WHERE status = 'starting'`,
      startedAt,
    );
  }

  /** Progress never goes back. Whoever makes progress has begun, also when we were not told: `started` says so. */
  progress(sequence: number, done: number, total: number, now: number): { counted: boolean; started: boolean } {
    if (!this.#accept(sequence)) return { counted: false, started: false };
    const started = this.#start(now);
    const counted = this.#changes(
      `UPDATE prediction SET progress_done = ?, progress_total = ?, revision = revision + 1
       WHERE status = 'processing' AND coalesce(progress_done, -1) < ?`,
      done,
      total,
      done,
    );
    return { counted, started };
  }

  /** The one transition into a terminal state; whoever comes second changes nothing. */
  end({ status, error, metrics, startedAt }: Ending, work: 'leave' | 'done', now: number): boolean {
    return this.#changes(
      `UPDATE prediction SET status = ?, error_code = ?, error_detail = ?, metrics = ?, completed_at = max(?, created_at),
         started_at = coalesce(started_at, ?), progress_done = iif(? = 'succeeded', progress_total, progress_done),
         work = ?, attempt = 0, retry_at = NULL, revision = revision + 1
       WHERE ${UNDER_WAY}`,
      status,
      error?.code ?? null,
      error?.detail ?? null,
      JSON.stringify(metrics),
      now,
      startedAt ?? null,
      status,
      work,
    );
  }

  removeData(): boolean {
    return this.#changes(
      `UPDATE prediction SET data_removed = 1, job = NULL, revision = revision + 1,
         command = json_set(command, '$.input', json('{}'), '$.source', NULL)
       WHERE data_removed = 0 AND NOT ${UNDER_WAY}`,
    );
  }

  #exists(): boolean {
    return this.#sql.exec(`SELECT 1 FROM sqlite_master WHERE name = 'prediction'`).toArray().length > 0;
  }

  #changes(statement: string, ...bindings: SqlStorageValue[]): boolean {
    return this.#sql.exec(statement, ...bindings).rowsWritten > 0;
  }
}

/** What is JSON was written by this class, by this version or the one before. */
function stateOf(row: Row): PredictionState {
  const command = JSON.parse(row.command) as Omit<PredictionCommand, 'source' | 'streamSecret' | 'scope'> & {
    scope?: string;
    source: { readonly url: string } | null;
    streamSecret?: string;
  };
  const job = row.job === null ? null : storedJobRequest(row.job);
  const { progress_done: done, progress_total: total, error_code: code, error_detail: detail } = row;
  const { id, tenantId, trace, account, fingerprint, options, origin, model, input, webhook, webhookEvents } = command;
  return {
    id,
    tenantId,
    // Predictions of version 0.1.0 have no scope of their own.
    scope: command.scope ?? tenantId,
    trace,
    account,
    fingerprint,
    options,
    origin,
    streamSecret: command.streamSecret ?? null,
    model,
    input,
    webhook,
    webhookEvents,
    modelVersion: row.model_version,
    status: row.status,
    work: row.work,
    attempt: row.attempt,
    retryAt: row.retry_at,
    sourceUrl: command.source?.url ?? null,
    job,
    resultKey: job?.task.resultKey ?? null,
    megapixels: row.megapixels,
    error: code === null || detail === null ? null : { code, detail },
    progress: done === null || total === null ? null : { done, total },
    metrics: row.metrics === null ? {} : parseStored<PredictionMetrics>(row.metrics),
    createdAt: row.created_at,
    startedAt: row.started_at,
    completedAt: row.completed_at,
    deadlineAt: row.deadline_at,
    dataRemoved: row.data_removed === 1,
    revision: row.revision,
    startedRevision: row.started_revision,
  };
}
