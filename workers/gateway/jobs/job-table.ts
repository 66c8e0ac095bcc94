/**
 * The durable half of a job: one row for each encoding that was asked of its RestorationKey. A state changes only by a
 * compare-and-set on the state, and once running on the attempt, that it was read with: whoever comes late changes nothing.
 *
 *   queued → running → succeeded | failed        (succeeded | failed → queued when it is asked for again)
 *            running → queued | failed           (the object died in the middle: recover)
 */
import type { WireError } from '@deblur/shared/errors.ts';
import { JOB_MAX_ATTEMPTS } from '@deblur/shared/limits.ts';
import type { JobRequest } from '../predict/ports.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS task (
    result_key   TEXT PRIMARY KEY,
    request      TEXT NOT NULL,     -- JobRequest as JSON
    state        TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed')),
    attempt      INTEGER NOT NULL,  -- how often it was begun since it was queued
    error_code   TEXT,
    error_detail TEXT,
    queued_at    INTEGER NOT NULL,  -- milliseconds since the epoch
    started_at   INTEGER,
    finished_at  INTEGER
  ) STRICT`;

export interface Claim {
  readonly request: JobRequest;
  readonly attempt: number;
  readonly queuedAt: number;
}

interface ClaimRow extends Record<string, SqlStorageValue> {
  request: string;
  attempt: number;
  queued_at: number;
}

export class JobTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.create();
  }

  create(): void {
    this.#sql.exec(SCHEMA);
  }

  /** Asks for an encoding; nothing changes while it is queued or running already. */
  enqueue(request: JobRequest, now: number): void {
    this.#sql.exec(
      `INSERT INTO task (result_key, request, state, attempt, queued_at) VALUES (?, ?, 'queued', 0, ?)
       ON CONFLICT (result_key) DO UPDATE SET
         request = excluded.request, state = 'queued', attempt = 0, queued_at = excluded.queued_at,
         error_code = NULL, error_detail = NULL, started_at = NULL, finished_at = NULL
       WHERE state IN ('succeeded', 'failed')`,
      request.task.resultKey,
      JSON.stringify(request),
      now,
    );
  }

  /** Takes the oldest queued task, or undefined when there is none. */
  claim(now: number): Claim | undefined {
    const [row] = this.#sql
      .exec<ClaimRow>(
        `UPDATE task SET state = 'running', attempt = attempt + 1, started_at = ?
         WHERE state = 'queued'
           AND result_key = (SELECT result_key FROM task WHERE state = 'queued' ORDER BY queued_at, result_key LIMIT 1)
         RETURNING request, attempt, queued_at`,
        now,
      )
      .toArray();
    if (row === undefined) return undefined;
    // Written by enqueue, by this version or the one before.
    return { request: JSON.parse(row.request) as JobRequest, attempt: row.attempt, queuedAt: row.queued_at };
  }

  finish({ request, attempt }: Claim, error: WireError | null, now: number): void {
    this.#sql.exec(
      `UPDATE task SET state = ?, error_code = ?, error_detail = ?, finished_at = ?
       WHERE result_key = ? AND state = 'running' AND attempt = ?`,
      error === null ? 'succeeded' : 'failed',
      error?.code ?? null,
      error?.detail ?? null,
      now,
      request.task.resultKey,
      attempt,
    );
  }

  /** Without a master there is nothing to encode: a failed inference fails all that waited behind it. */
  failQueued(error: WireError, now: number): string[] {
    return this.#sql
      .exec<{ result_key: string }>(
        `UPDATE task SET state = 'failed', error_code = ?, error_detail = ?, finished_at = ?
         WHERE state = 'queued' RETURNING result_key`,
        error.code,
        error.detail,
        now,
      )
      .toArray()
      .map((row) => row.result_key);
  }

  /** For a new object in memory: what its predecessor left running is begun again, or has failed too often. */
  recover(now: number): void {
    this.#sql.exec(
      `UPDATE task SET state = 'failed', error_code = 'runner_failed', error_detail = 'It was begun too often.', finished_at = ?
       WHERE state = 'running' AND attempt >= ?`,
      now,
      JOB_MAX_ATTEMPTS,
    );
    this.#sql.exec(`UPDATE task SET state = 'queued' WHERE state = 'running'`);
  }

  /** When the last task ended; null while one is queued or running. */
  idleSince(): number | null {
    const row = this.#sql
      .exec<{ busy: number; ended: number }>(
        `SELECT coalesce(sum(state IN ('queued', 'running')), 0) AS busy, coalesce(max(finished_at), 0) AS ended FROM task`,
      )
      .one();
    return row.busy > 0 ? null : row.ended;
  }
}
