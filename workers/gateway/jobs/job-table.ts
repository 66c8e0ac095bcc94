/** The tasks of a job. schema.ts says which change of state each method is, and who may ask for it. */
import type { WireError } from '@deblur/shared/protocol/errors.ts';
import {
  JOB_LEASE_MS,
  JOB_MAX_ATTEMPTS,
  JOB_POLL_MAX_MS,
  JOB_POLL_MIN_MS,
  JOB_WATCHDOG_MS,
} from '@deblur/shared/limits.ts';
import type { RestoreReport } from '@deblur/shared/protocol/runner-api.ts';
import type { JobRequest, Subscription } from './ports.ts';
import type { RunnerOperation } from '../runners/ports.ts';
import { taskOf, type Task, type TaskRow } from './task.ts';

const ACTIVE = `state IN ('queued', 'running')`;

export class JobTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  get(key: string): Task | undefined {
    return this.#select('SELECT * FROM job_task WHERE result_key = ?', key)[0];
  }

  /** ∅ | ended → queued. False when it is queued or running already. */
  join(request: JobRequest, now: number): boolean {
    return this.#changed(
      `INSERT INTO job_task (result_key, request, state, due_at, queued_at) VALUES (?1, ?2, 'queued', ?3, ?3)
       ON CONFLICT (result_key) DO UPDATE SET
         request = excluded.request, state = 'queued', due_at = excluded.due_at, queued_at = excluded.queued_at,
         failures = 0, runner_prediction_id = NULL, accepted = 0, refused = 0, wanted_until = 0, error_code = NULL,
         error_detail = NULL, report = NULL, claimed_at = NULL, processing_at = NULL, finished_at = NULL
       WHERE NOT ${ACTIVE} RETURNING result_key`,
      request.task.resultKey,
      JSON.stringify(request),
      now,
    );
  }

  /** A request waits for it, at most so long; one that may become a prediction under its name, so that it can be taken back. */
  want(key: string, until: number, waiter?: Subscription): void {
    if (waiter === undefined) {
      this.#sql.exec('UPDATE job_task SET wanted_until = max(wanted_until, ?) WHERE result_key = ?', until, key);
      return;
    }
    const { subscriberId, deadlineAt } = waiter;
    this.#sql.exec('INSERT OR REPLACE INTO job_want VALUES (?, ?, ?)', key, subscriberId, Math.min(until, deadlineAt));
  }

  /** @param subscriberId undefined: the task has ended for all of them */
  unwant(key: string, subscriberId?: string): void {
    const one = subscriberId ?? null;
    this.#sql.exec('DELETE FROM job_want WHERE result_key = ? AND (?2 IS NULL OR subscriber_id = ?2)', key, one);
  }

  /** queued → running: the oldest that is due, when nothing runs. */
  claim(now: number): Task | undefined {
    return this.#select(
      `UPDATE job_task SET state = 'running', accepted = 0, claimed_at = ?1
       WHERE NOT EXISTS (SELECT 1 FROM job_task WHERE state = 'running') AND result_key = (
         SELECT result_key FROM job_task WHERE state = 'queued' AND due_at <= ?1 ORDER BY queued_at, result_key LIMIT 1)
       RETURNING *`,
      now,
    )[0];
  }

  /**
   * running → running, with the next attempt.
   * @param claimed as `claim` gave it
   */
  begin(claimed: Task, operation: RunnerOperation['operation'], runnerPredictionId: string | null): boolean {
    return this.#changed(
      `UPDATE job_task SET attempt = attempt + 1, operation = ?, runner_prediction_id = ?, calls_back = 0
       WHERE result_key = ? AND state = 'running' AND accepted = 0 AND attempt = ? RETURNING result_key`,
      operation,
      runnerPredictionId,
      claimed.key,
      claimed.attempt,
    );
  }

  /**
   * running → running: a remote runner has this attempt, and need not be asked for a while.
   * queued → running: the runner that seemed gone has it after all.
   */
  heard(
    key: string,
    attempt: number,
    said: { readonly id: string; readonly byCallback: boolean },
    now: number,
  ): boolean {
    const task = this.get(key);
    if (task === undefined) return false;
    const callsBack = task.callsBack || said.byCallback;
    const pollMs = Math.min(Math.max((now - task.claimedAt) / 16, JOB_POLL_MIN_MS), JOB_POLL_MAX_MS);
    return this.#changed(
      `UPDATE job_task SET state = 'running', accepted = 1, refused = 0, runner_prediction_id = ?1, calls_back = ?, due_at = ?
       WHERE result_key = ? AND attempt = ? AND (state = 'running' OR (state = 'queued' AND runner_prediction_id = ?1
         AND NOT EXISTS (SELECT 1 FROM job_task WHERE state = 'running'))) RETURNING result_key`,
      said.id,
      Number(callsBack),
      now + Math.round(callsBack ? JOB_LEASE_MS : pollMs),
      key,
      attempt,
    );
  }

  /** Notes that work has begun; true the first time since the task was queued. */
  processing(key: string, attempt: number, now: number): boolean {
    return this.#changed(
      `UPDATE job_task SET processing_at = ?
       WHERE result_key = ? AND state = 'running' AND attempt = ? AND processing_at IS NULL RETURNING result_key`,
      now,
      key,
      attempt,
    );
  }

  /**
   * running → queued, without counting a failure.
   * @param mayBeAlive whether the runner may have it all the same: then it is asked before the work is handed over again
   */
  refuse(key: string, attempt: number, dueAt: number, mayBeAlive: boolean): boolean {
    return this.#changed(
      `UPDATE job_task SET state = 'queued', accepted = 0, refused = max(refused, 1), due_at = ?,
         runner_prediction_id = CASE WHEN ? THEN runner_prediction_id END
       WHERE result_key = ? AND state = 'running' AND attempt = ? RETURNING result_key`,
      dueAt,
      Number(mayBeAlive),
      key,
      attempt,
    );
  }

  /** running → queued; false when there is no such attempt or none is left. */
  retry(key: string, attempt: number, dueAt: (failures: number) => number): boolean {
    const failures = this.#number('SELECT failures + 1 AS n FROM job_task WHERE result_key = ?', key);
    return this.#changed(
      `UPDATE job_task SET state = 'queued', accepted = 0, refused = 0, runner_prediction_id = NULL, failures = ?1, due_at = ?2
       WHERE result_key = ?3 AND state = 'running' AND attempt = ?4 AND ?1 < ?5 RETURNING result_key`,
      failures,
      dueAt(failures),
      key,
      attempt,
      JOB_MAX_ATTEMPTS,
    );
  }

  /** queued | running → succeeded. */
  succeed(key: string, report: RestoreReport | null, now: number): boolean {
    return this.#changed(
      `UPDATE job_task SET state = 'succeeded', report = ?, finished_at = ?
       WHERE result_key = ? AND ${ACTIVE} RETURNING result_key`,
      report === null ? null : JSON.stringify(report),
      now,
      key,
    );
  }

  /** running → failed: what this attempt says. */
  fail(key: string, attempt: number, error: WireError, now: number): boolean {
    return this.#fail(`result_key = ? AND state = 'running' AND attempt = ?`, [key, attempt], error, now).length === 1;
  }

  /** queued → failed, all of them: without a master there is nothing to encode. */
  failQueued(error: WireError, now: number): string[] {
    return this.#fail(`state = 'queued'`, [], error, now);
  }

  /** queued → failed: what waits for a message that will not come again. */
  abandon(error: WireError, now: number): string[] {
    return this.#fail(`state = 'queued' AND refused > 0`, [], error, now);
  }

  /** queued | running → failed: what nobody waits for any longer. */
  expire(key: string, error: WireError, now: number): boolean {
    return this.#fail(`result_key = ? AND ${ACTIVE}`, [key], error, now).length === 1;
  }

  /** queued | running → canceled, unless a request still wants it. */
  cancel(key: string, now: number): boolean {
    return this.#changed(
      `UPDATE job_task SET state = 'canceled', finished_at = ?
       WHERE result_key = ? AND ${ACTIVE} AND ${WANTED_UNTIL} <= ?1 RETURNING result_key`,
      now,
      key,
    );
  }

  /** For a new object in memory: what its predecessor had not handed over is begun again, or failed; the keys of these. */
  recover(now: number): string[] {
    const died = `state = 'running' AND accepted = 0`;
    const error: WireError = {
      code: 'runner_failed',
      detail: `Gave up after ${JOB_MAX_ATTEMPTS} attempts, because each ended without an answer. Try again.`,
    };
    const failed = this.#fail(`${died} AND failures + 1 >= ?`, [JOB_MAX_ATTEMPTS], error, now);
    this.#sql.exec(`UPDATE job_task SET state = 'queued', failures = failures + 1, due_at = ? WHERE ${died}`, now);
    return failed;
  }

  /** What is queued may be begun then: now, when their message has come. */
  wake(at: number): void {
    this.#sql.exec(`UPDATE job_task SET due_at = min(due_at, ?) WHERE state = 'queued'`, at);
  }

  /**
   * The number of the job's message, 0 when none is under way: it is sent with the first refusal, and lives until nothing
   * waits for it.
   */
  messages(): number {
    return this.#number(`SELECT coalesce(max(refused), 0) AS n FROM job_task WHERE ${ACTIVE}`);
  }

  /** The first task that waits for its message. */
  waiting(): Task | undefined {
    return this.#select(`SELECT * FROM job_task WHERE state = 'queued' AND refused > 0 ORDER BY queued_at LIMIT 1`)[0];
  }

  /** Numbers another message for tasks whose last one should have come by now; false when there is no such task. */
  missMessage(now: number): boolean {
    return this.#changed(
      `UPDATE job_task SET refused = (SELECT max(refused) FROM job_task) + 1 WHERE state = 'queued' AND refused > 0 AND due_at <= ?
       RETURNING result_key`,
      now,
    );
  }

  /** The task that a remote runner has, if there is one. */
  remote(): Task | undefined {
    return this.#select(`SELECT * FROM job_task WHERE state = 'running' AND accepted = 1`)[0];
  }

  /** The task that is worked on, or the next of those that wait. */
  live(): Task | undefined {
    return this.#select(`SELECT * FROM job_task WHERE ${ACTIVE} ORDER BY state DESC, queued_at, result_key LIMIT 1`)[0];
  }

  /** Tasks whose last deadline has passed. */
  overdue(now: number): Task[] {
    return this.#select(`SELECT * FROM job_task WHERE ${ACTIVE} AND ${DEADLINE} <= ?`, now);
  }

  /** Whether an inference ended at this time or later: whoever was there then has waited for it. */
  inferredSince(time: number): boolean {
    return this.#number('SELECT count(*) AS n FROM job_task WHERE report IS NOT NULL AND finished_at >= ?', time) > 0;
  }

  /** When there is something to do next; null when every task has ended. */
  nextAt(now: number): number | null {
    const times = this.#sql
      .exec<{ at: number | null }>(
        `SELECT CASE state WHEN 'running' THEN iif(accepted, due_at, ?1)
                           ELSE iif(EXISTS (SELECT 1 FROM job_task WHERE state = 'running'), NULL, due_at) END AS at
         FROM job_task WHERE ${ACTIVE} UNION ALL SELECT ${DEADLINE} FROM job_task WHERE ${ACTIVE}`,
        now + JOB_WATCHDOG_MS,
      )
      .toArray()
      .flatMap(({ at }) => at ?? []);
    return times.length === 0 ? null : Math.min(...times);
  }

  /** When the last task ended; 0 when there never was one. */
  endedAt(): number {
    return this.#number('SELECT coalesce(max(finished_at), 0) AS n FROM job_task');
  }

  #fail(where: string, bindings: SqlStorageValue[], error: WireError, now: number): string[] {
    return this.#sql
      .exec<{ result_key: string }>(
        `UPDATE job_task SET state = 'failed', error_code = ?, error_detail = ?, finished_at = ?
         WHERE ${where} RETURNING result_key`,
        error.code,
        error.detail,
        now,
        ...bindings,
      )
      .toArray()
      .map((row) => row.result_key);
  }

  #changed(statement: string, ...bindings: SqlStorageValue[]): boolean {
    return this.#sql.exec(statement, ...bindings).toArray().length > 0;
  }

  #number(query: string, ...bindings: SqlStorageValue[]): number {
    return this.#sql.exec<{ n: number }>(query, ...bindings).toArray()[0]?.n ?? 0;
  }

  #select(query: string, ...bindings: SqlStorageValue[]): Task[] {
    return this.#sql
      .exec<TaskRow>(query, ...bindings)
      .toArray()
      .map(taskOf);
  }
}

/** The latest of the requests that wait for a task. */
const WANTED_UNTIL = `max(wanted_until, (
  SELECT coalesce(max(until), 0) FROM job_want WHERE job_want.result_key = job_task.result_key))`;

/** The latest of all who wait for a task. */
const DEADLINE = `max(${WANTED_UNTIL}, (
  SELECT coalesce(max(deadline_at), 0) FROM job_subscriber
  WHERE job_subscriber.result_key = job_task.result_key AND finished = 0))`;
