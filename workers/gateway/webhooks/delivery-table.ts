/**
 * The durable half of the deliveries of one prediction. A state changes only by a compare-and-set on the state, and once
 * sending on the number of attempts, that it was read with.
 *
 *   pending → sending → delivered | pending (again later) | exhausted | disabled | superseded
 *   pending → superseded | disabled                        (overtaken by a later event; the receiver said 410)
 *   delivered | exhausted | disabled | superseded → pending (a replay: the schedule begins anew)
 */
import { WEBHOOK_ATTEMPT_DELAYS_SECONDS } from '@deblur/shared/limits.ts';
import type { AttemptError, Delivery, DeliveryEvent, DeliveryState, DeliveryType } from './delivery-ports.ts';
import type { AttemptOutcome, WebhookAttempt } from './ports.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS delivery (
    n               INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook_id      TEXT NOT NULL UNIQUE,
    type            TEXT NOT NULL,
    url             TEXT NOT NULL,
    body            TEXT NOT NULL,     -- JSON, as it is signed; empty once it was removed
    state           TEXT NOT NULL
      CHECK (state IN ('pending', 'sending', 'delivered', 'exhausted', 'disabled', 'superseded')),
    attempts        INTEGER NOT NULL,  -- since it was created or replayed
    created_at      INTEGER NOT NULL,  -- milliseconds since the epoch, as everywhere here
    next_attempt_at INTEGER            -- while pending
  ) STRICT;
  CREATE TABLE IF NOT EXISTS delivery_attempt (
    n          INTEGER NOT NULL REFERENCES delivery (n),
    at         INTEGER NOT NULL,
    status     INTEGER,                -- NULL: no answer
    latency_ms INTEGER NOT NULL,
    error      TEXT
  ) STRICT`;

/** A delivery that is being sent, and the attempt by which its outcome is written. */
export interface DeliveryClaim extends WebhookAttempt {
  readonly n: number;
  readonly type: DeliveryType;
  readonly attempt: number;
}

type Row<Columns extends string> = Record<Columns, SqlStorageValue>;

export class DeliveryTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** The first of a prediction makes the tables: without one, nothing else here writes to storage. */
  insert({ type, url, body }: DeliveryEvent, now: number): void {
    this.#sql.exec(SCHEMA);
    this.#sql.exec(
      `INSERT INTO delivery (webhook_id, type, url, body, state, attempts, created_at, next_attempt_at)
       VALUES (?1, ?2, ?3, ?4,
         iif(EXISTS (SELECT 1 FROM delivery WHERE url = ?3 AND state = 'disabled'), 'disabled', 'pending'), 0, ?5, ?5)`,
      `msg_${crypto.randomUUID()}`,
      type,
      url,
      body,
      now,
    );
    this.#sql.exec(`UPDATE delivery SET next_attempt_at = NULL WHERE state = 'disabled'`);
  }

  /**
   * What a later event overtakes: news that were to be tried again, and progress that was not sent at all. What ends the
   * prediction is never overtaken.
   */
  supersede(): void {
    this.#sql.exec(
      `UPDATE delivery SET state = 'superseded', next_attempt_at = NULL
       WHERE state = 'pending' AND type <> 'prediction.completed' AND n < (SELECT max(n) FROM delivery)
         AND (attempts > 0 OR (type = 'prediction.logs' AND n NOT IN (SELECT n FROM delivery_attempt)))`,
    );
  }

  nextAttemptAt(): number | null {
    if (!this.#exists()) return null;
    return this.#sql
      .exec<{ at: number | null }>(`SELECT min(next_attempt_at) AS at FROM delivery WHERE state = 'pending'`)
      .one().at;
  }

  /** Takes the first of those that are due, in the order in which they happened. */
  claim(now: number): DeliveryClaim | undefined {
    if (!this.#exists()) return undefined;
    const [row] = this.#sql
      .exec<Row<'n' | 'webhook_id' | 'type' | 'url' | 'body' | 'attempts'>>(
        `UPDATE delivery SET state = 'sending', attempts = attempts + 1, next_attempt_at = NULL
         WHERE state = 'pending'
           AND n = (SELECT min(n) FROM delivery WHERE state = 'pending' AND next_attempt_at <= ?)
         RETURNING n, webhook_id, type, url, body, attempts`,
        now,
      )
      .toArray();
    if (row === undefined) return undefined;
    return {
      n: Number(row.n),
      id: String(row.webhook_id),
      type: row.type as DeliveryType,
      url: String(row.url),
      body: String(row.body),
      attempt: Number(row.attempts),
    };
  }

  /** Writes the attempt down, and what comes of it. */
  finish(
    { n, attempt }: DeliveryClaim,
    { status, latencyMs, error }: AttemptOutcome,
    at: number,
    next: { readonly state: DeliveryState; readonly nextAttemptAt: number | null },
  ): void {
    this.#sql.exec(
      `INSERT INTO delivery_attempt (n, at, status, latency_ms, error) VALUES (?, ?, ?, ?, ?)`,
      n,
      at,
      status,
      latencyMs,
      error,
    );
    this.#sql.exec(
      `UPDATE delivery SET state = ?, next_attempt_at = ? WHERE n = ? AND state = 'sending' AND attempts = ?`,
      next.state,
      next.nextAttemptAt,
      n,
      attempt,
    );
  }

  /** The receiver is gone: nothing that waits is sent to it. */
  disable(url: string): void {
    this.#sql.exec(
      `UPDATE delivery SET state = 'disabled', next_attempt_at = NULL WHERE url = ? AND state = 'pending'`,
      url,
    );
  }

  /** @returns false when there is no such delivery, it is still under way, or its body was removed */
  replay(n: number, now: number): boolean {
    return (
      this.#exists() &&
      this.#sql
        .exec(
          `UPDATE delivery SET state = 'pending', attempts = 0, next_attempt_at = ?
           WHERE n = ? AND body <> '' AND state IN ('delivered', 'exhausted', 'disabled', 'superseded') RETURNING n`,
          now,
          n,
        )
        .toArray().length > 0
    );
  }

  isEmptied(n: number): boolean {
    return this.#exists() && this.#sql.exec(`SELECT 1 FROM delivery WHERE n = ? AND body = ''`, n).toArray().length > 0;
  }

  /** Of those that are over: a body tells the input, the output and the logs. */
  removeBodies(): void {
    if (!this.#exists()) return;
    this.#sql.exec(`UPDATE delivery SET body = '' WHERE body <> '' AND state NOT IN ('pending', 'sending')`);
  }

  /**
   * For a new object in memory: its predecessor died while it sent. Whether that arrived nobody knows, so it is sent again at
   * once, under the same id; the broken attempt counts, and what kills its object each time is given up.
   */
  recover(): void {
    if (!this.#exists()) return;
    this.#sql.exec(
      `UPDATE delivery SET state = 'exhausted' WHERE state = 'sending' AND attempts >= ?`,
      WEBHOOK_ATTEMPT_DELAYS_SECONDS.length,
    );
    this.#sql.exec(`UPDATE delivery SET state = 'pending', next_attempt_at = 0 WHERE state = 'sending'`);
  }

  list(): Delivery[] {
    if (!this.#exists()) return [];
    const attempts = this.#sql
      .exec<Row<'n' | 'at' | 'status' | 'latency_ms' | 'error'>>(`SELECT * FROM delivery_attempt ORDER BY rowid`)
      .toArray();
    return this.#sql
      .exec<Row<'n' | 'webhook_id' | 'type' | 'url' | 'state' | 'created_at' | 'next_attempt_at'>>(
        `SELECT n, webhook_id, type, url, state, created_at, next_attempt_at FROM delivery ORDER BY n`,
      )
      .toArray()
      .map((row) => ({
        n: Number(row.n),
        webhookId: String(row.webhook_id),
        type: row.type as DeliveryType,
        url: String(row.url),
        state: row.state as DeliveryState,
        createdAt: Number(row.created_at),
        nextAttemptAt: row.next_attempt_at as number | null,
        attempts: attempts
          .filter(({ n }) => n === row.n)
          .map(({ at, status, latency_ms, error }) => ({
            at: Number(at),
            status: status as number | null,
            latencyMs: Number(latency_ms),
            error: error as AttemptError | null,
          })),
      }));
  }

  #exists(): boolean {
    return this.#sql.exec(`SELECT 1 FROM sqlite_master WHERE name = 'delivery'`).toArray().length > 0;
  }
}
