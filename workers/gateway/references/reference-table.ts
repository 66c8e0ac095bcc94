/**
 * Who holds the results of one restoration, and what is still to be erased of it. What is to be done is written in the same
 * step in which the last holder lets go, so that a crash in between loses nothing.
 */
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS reference (
    result_key   TEXT NOT NULL,
    tenant       TEXT NOT NULL,
    derived_from TEXT,              -- the result whose holder it belongs to; NULL when it was asked for by itself
    expires_at   INTEGER NOT NULL,  -- milliseconds since the epoch
    PRIMARY KEY (result_key, tenant)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS erasure (
    result_key TEXT PRIMARY KEY,
    stage      TEXT NOT NULL CHECK (stage IN ('bytes', 'caches')),
    attempts   INTEGER NOT NULL,
    due_at     INTEGER NOT NULL
  ) STRICT`;

export interface Erasure {
  readonly resultKey: string;
  /** `bytes`: nothing is done yet. `caches`: the store is free of it, caches perhaps not. */
  readonly stage: 'bytes' | 'caches';
  readonly attempts: number;
}

interface ErasureRow extends Record<string, SqlStorageValue> {
  result_key: string;
  attempts: number;
}

/** A reference that needs no renewal: asked for by itself, and outlasting a time. */
const LASTING = 'expires_at >= ? AND derived_from IS NULL';

export class ReferenceTable {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#sql = storage.sql;
    this.create();
  }

  create(): void {
    this.#sql.exec(SCHEMA);
  }

  /** Whether the tenant holds anything of this restoration. */
  isHolder(tenant: string): boolean {
    return this.#count('SELECT count(*) AS n FROM reference WHERE tenant = ?', tenant) > 0;
  }

  isHeld(resultKey: string): boolean {
    return this.#count('SELECT count(*) AS n FROM reference WHERE result_key = ?', resultKey) > 0;
  }

  isEmpty(): boolean {
    return this.#count('SELECT count(*) AS n FROM reference') === 0;
  }

  /** Whether `hold` would change nothing. */
  outlasts(resultKey: string, tenant: string, renewBefore: number): boolean {
    const query = `SELECT count(*) AS n FROM reference WHERE result_key = ? AND tenant = ? AND ${LASTING}`;
    return this.#count(query, resultKey, tenant, renewBefore) > 0;
  }

  /** A reference that outlasts `renewBefore` stays as it is. */
  hold(resultKey: string, tenant: string, expiresAt: number, renewBefore: number): void {
    this.#sql.exec(
      `INSERT INTO reference (result_key, tenant, expires_at) VALUES (?, ?, ?)
       ON CONFLICT (result_key, tenant) DO UPDATE SET expires_at = excluded.expires_at, derived_from = NULL
       WHERE NOT (${LASTING})`,
      resultKey,
      tenant,
      expiresAt,
      renewBefore,
    );
  }

  /** The holders of one result hold another one too. @returns false when there are none */
  derive(from: string, resultKey: string): boolean {
    this.#sql.exec(
      `INSERT INTO reference (result_key, tenant, derived_from, expires_at)
       SELECT ?, tenant, ?, expires_at FROM reference WHERE result_key = ?
       ON CONFLICT (result_key, tenant) DO NOTHING`,
      resultKey,
      from,
      from,
    );
    return this.isHeld(resultKey);
  }

  /**
   * Lets go of a result and of what was derived from it.
   * @param tenant null: for everybody
   * @returns the results that nobody holds any more; null when there was nothing to let go
   */
  release(resultKey: string, tenant: string | null, now: number): string[] | null {
    return this.#storage.transactionSync(() => {
      const released = this.#sql
        .exec<{ result_key: string }>(
          `DELETE FROM reference WHERE (result_key = ?1 OR derived_from = ?1) AND (?2 IS NULL OR tenant = ?2)
           RETURNING result_key`,
          resultKey,
          tenant,
        )
        .toArray();
      const keys = [...new Set(released.map((row) => row.result_key))];
      const orphans = keys.filter((key) => !this.isHeld(key));
      for (const key of orphans) this.#setErasure(key, 'bytes', 0, now);
      return keys.length === 0 ? null : orphans;
    });
  }

  /** Like a release of the last one, when there is none. */
  eraseUnheld(resultKey: string, now: number): void {
    if (!this.isHeld(resultKey)) this.#setErasure(resultKey, 'bytes', 0, now);
  }

  expire(now: number): void {
    this.#sql.exec('DELETE FROM reference WHERE expires_at <= ?', now);
  }

  dueErasures(stage: Erasure['stage'], now: number): Erasure[] {
    return this.#sql
      .exec<ErasureRow>('SELECT * FROM erasure WHERE stage = ? AND due_at <= ?', stage, now)
      .toArray()
      .map(({ result_key: resultKey, attempts }) => ({ resultKey, stage, attempts }));
  }

  postpone({ resultKey, stage, attempts }: Erasure, dueAt: number): void {
    this.#setErasure(resultKey, stage, attempts + 1, dueAt);
  }

  proceedToCaches({ resultKey }: Erasure, now: number): void {
    this.#setErasure(resultKey, 'caches', 0, now);
  }

  finish({ resultKey }: Erasure): void {
    this.#sql.exec('DELETE FROM erasure WHERE result_key = ?', resultKey);
  }

  /** When there is something to do next; null: never. */
  nextAt(): number | null {
    return this.#sql
      .exec<{ at: number | null }>(
        'SELECT min(at) AS at FROM (SELECT min(due_at) AS at FROM erasure UNION ALL SELECT min(expires_at) FROM reference)',
      )
      .one().at;
  }

  #setErasure(resultKey: string, stage: Erasure['stage'], attempts: number, dueAt: number): void {
    this.#sql.exec(
      'INSERT OR REPLACE INTO erasure (result_key, stage, attempts, due_at) VALUES (?, ?, ?, ?)',
      resultKey,
      stage,
      attempts,
      dueAt,
    );
  }

  #count(query: string, ...bindings: SqlStorageValue[]): number {
    return this.#sql.exec<{ n: number }>(query, ...bindings).one().n;
  }
}
