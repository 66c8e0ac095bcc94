/** What one tenant's index remembers: its predictions in their order, and the idempotency keys of a day. */
import { IDEMPOTENCY_LEASE_MS, IDEMPOTENCY_RETENTION_SECONDS } from '@deblur/shared/limits.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS prediction (
    position   INTEGER PRIMARY KEY AUTOINCREMENT,  -- grows with creation
    id         TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL                    -- milliseconds since the epoch, as every time here
  ) STRICT;
  CREATE INDEX IF NOT EXISTS prediction_age ON prediction (created_at);
  CREATE TABLE IF NOT EXISTS idempotency (
    key         TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    id          TEXT NOT NULL,
    settled     INTEGER NOT NULL,                  -- 0: its create is under way, until expires_at at most
    expires_at  INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS idempotency_expiry ON idempotency (expires_at);`;

/** What an idempotency key means for a create. */
export type IdempotencyClaim =
  /** Create it by this id: the caller's own, or that of an earlier create that did not come to its end. */
  | { readonly outcome: 'claimed'; readonly id: string }
  | { readonly outcome: 'settled'; readonly id: string }
  | { readonly outcome: 'in_flight' }
  | { readonly outcome: 'other_request' };

interface KeyRow extends Record<string, SqlStorageValue> {
  fingerprint: string;
  id: string;
  settled: number;
  expires_at: number;
}

/** Ids beside a position, newest first. */
export interface IndexPage {
  readonly ids: readonly string[];
  readonly newest: number | null;
  readonly oldest: number | null;
  /** There are newer ones than `newest`, older ones than `oldest`. */
  readonly newer: boolean;
  readonly older: boolean;
}

export interface IndexCursor {
  readonly side: 'newer' | 'older';
  readonly position: number;
}

export class IndexTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  create(): void {
    this.#sql.exec(SCHEMA);
  }

  add(id: string, now: number): void {
    this.#sql.exec('INSERT OR IGNORE INTO prediction (id, created_at) VALUES (?, ?)', id, now);
  }

  /** Nothing is awaited between look and write: of any number of equal requests one claims the key. */
  claim(key: string, fingerprint: string, id: string, now: number): IdempotencyClaim {
    const [known] = this.#sql.exec<KeyRow>('SELECT * FROM idempotency WHERE key = ?', key).toArray();
    const expired = known === undefined || known.expires_at <= now;
    if (!expired && known.fingerprint !== fingerprint) return { outcome: 'other_request' };
    if (!expired) return known.settled === 1 ? { outcome: 'settled', id: known.id } : { outcome: 'in_flight' };
    // A lease that ran out is taken over with its id: if that prediction was made after all, it is the same one.
    const abandoned = known?.settled === 0 && known.fingerprint === fingerprint;
    const claimed = abandoned ? known.id : id;
    this.#sql.exec(
      'INSERT OR REPLACE INTO idempotency (key, fingerprint, id, settled, expires_at) VALUES (?, ?, ?, 0, ?)',
      key,
      fingerprint,
      claimed,
      now + IDEMPOTENCY_LEASE_MS,
    );
    return { outcome: 'claimed', id: claimed };
  }

  settle(key: string, id: string, now: number): void {
    const expiresAt = now + IDEMPOTENCY_RETENTION_SECONDS * 1000;
    this.#sql.exec('UPDATE idempotency SET settled = 1, expires_at = ? WHERE key = ? AND id = ?', expiresAt, key, id);
  }

  /** A create that failed frees its key, but not its id: it may have been made after all, and is then met again. */
  release(key: string, id: string, now: number): void {
    this.#sql.exec('UPDATE idempotency SET expires_at = ? WHERE key = ? AND id = ? AND settled = 0', now, key, id);
  }

  page(cursor: IndexCursor | null, size: number): IndexPage {
    const newer = cursor?.side === 'newer';
    // One more than is shown tells whether there are more.
    const rows = this.#sql
      .exec<{ position: number; id: string }>(
        `SELECT position, id FROM prediction WHERE position ${newer ? '>' : '<'} ?
         ORDER BY position ${newer ? 'ASC' : 'DESC'} LIMIT ?`,
        cursor?.position ?? Number.MAX_SAFE_INTEGER,
        size + 1,
      )
      .toArray();
    const more = rows.length > size;
    const shown = rows.slice(0, size);
    if (newer) shown.reverse();
    return {
      ids: shown.map(({ id }) => id),
      newest: shown[0]?.position ?? null,
      oldest: shown.at(-1)?.position ?? null,
      newer: newer ? more : cursor !== null,
      older: newer ? true : more,
    };
  }

  /** Forgets what has expired; what never came to its end may still be retried for a day. @returns whether anything is left */
  purge(predictionsBefore: number, now: number): boolean {
    this.#sql.exec('DELETE FROM prediction WHERE created_at < ?', predictionsBefore);
    const retriedSince = now - IDEMPOTENCY_RETENTION_SECONDS * 1000;
    this.#sql.exec('DELETE FROM idempotency WHERE expires_at <= iif(settled = 1, ?, ?)', now, retriedSince);
    const left = this.#sql.exec('SELECT 1 FROM prediction UNION ALL SELECT 1 FROM idempotency LIMIT 1').toArray();
    return left.length > 0;
  }
}
