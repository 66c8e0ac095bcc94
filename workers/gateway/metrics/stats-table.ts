/** What was reported: counters that only rise, and the last word of every job. */
import { STATS_JOB_LEASE_MS, STATS_MAX_SERIES, STATS_REPORTER_TTL_MS } from '@deblur/shared/limits.ts';
import type { LiveJob } from './ports.ts';
import type { CounterBatch } from './counter-batches.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS counter (
    series TEXT PRIMARY KEY,
    value  REAL NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS reporter (
    id       TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL,  -- of the last batch that was added
    seen_at  INTEGER NOT NULL   -- milliseconds since the epoch
  ) STRICT;
  CREATE TABLE IF NOT EXISTS job (
    id         TEXT PRIMARY KEY,
    sequence   INTEGER NOT NULL,
    placement  TEXT,
    state      TEXT,             -- NULL: ended; kept for a while, so that an earlier report that comes late is known as such
    expires_at INTEGER NOT NULL
  ) STRICT`;

export class StatsTable {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#sql = storage.sql;
    this.#sql.exec(SCHEMA);
  }

  /** @returns false when the batch, or a later one of its reporter, was added before */
  add({ reporter, sequence, counts }: CounterBatch, now: number): boolean {
    return this.#storage.transactionSync(() => {
      const { rowsWritten } = this.#sql.exec(
        `INSERT INTO reporter (id, sequence, seen_at) VALUES (?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET sequence = excluded.sequence, seen_at = excluded.seen_at
         WHERE sequence < excluded.sequence`,
        reporter,
        sequence,
        now,
      );
      if (rowsWritten === 0) return false;
      this.#sql.exec('DELETE FROM reporter WHERE seen_at < ?', now - STATS_REPORTER_TTL_MS);
      for (const [series, by] of Object.entries(counts)) this.#increase(series, by);
      return true;
    });
  }

  setJob(id: string, sequence: number, job: LiveJob | null, now: number): void {
    this.#sql.exec('DELETE FROM job WHERE expires_at <= ?', now);
    this.#sql.exec(
      `INSERT INTO job (id, sequence, placement, state, expires_at) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET sequence = excluded.sequence, placement = excluded.placement,
         state = excluded.state, expires_at = excluded.expires_at
       WHERE sequence < excluded.sequence`,
      id,
      sequence,
      job?.placement ?? null,
      job?.state ?? null,
      now + STATS_JOB_LEASE_MS,
    );
  }

  /** In the order of their names. */
  counters(): [series: string, value: number][] {
    const rows = this.#sql.exec<{ series: string; value: number }>('SELECT series, value FROM counter ORDER BY series');
    return rows.toArray().map(({ series, value }) => [series, value]);
  }

  countJobs({ placement, state }: LiveJob, now: number): number {
    const query = 'SELECT count(*) AS jobs FROM job WHERE placement = ? AND state = ? AND expires_at > ?';
    return this.#sql.exec<{ jobs: number }>(query, placement, state, now).one().jobs;
  }

  #increase(series: string, by: number): void {
    this.#sql.exec(
      `INSERT INTO counter (series, value)
       SELECT ?1, ?2 WHERE (SELECT count(*) FROM counter) < ?3 OR EXISTS (SELECT 1 FROM counter WHERE series = ?1)
       ON CONFLICT (series) DO UPDATE SET value = value + excluded.value`,
      series,
      by,
      STATS_MAX_SERIES,
    );
  }
}
