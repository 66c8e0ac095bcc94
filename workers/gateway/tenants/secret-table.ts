/** The webhook secrets of one tenant. They sign, so they are kept as they are. */
import { WEBHOOK_SECRET_OVERLAP_SECONDS } from '@deblur/shared/limits.ts';

export const SECRET_SCHEMA = `
  CREATE TABLE IF NOT EXISTS webhook_secret (
    n          INTEGER PRIMARY KEY AUTOINCREMENT,
    secret     TEXT NOT NULL UNIQUE,
    retires_at INTEGER              -- milliseconds since the epoch; NULL: the current one
  ) STRICT`;

/** A secret that was replaced twice within the overlap is gone: two signatures are what receivers are told to expect. */
const MAX_OLD_SECRETS = 1;

export class SecretTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Those that sign, the current one first; empty before the first. */
  signing(now: number): string[] {
    return this.#sql
      .exec<{ secret: string }>(
        `SELECT secret FROM webhook_secret WHERE retires_at IS NULL OR retires_at > ? ORDER BY n DESC`,
        now,
      )
      .toArray()
      .map(({ secret }) => secret);
  }

  /** Makes `secret` the current one; twice is once. */
  rotate(secret: string, now: number): void {
    const known = this.#sql.exec(`SELECT 1 FROM webhook_secret WHERE secret = ?`, secret).toArray().length > 0;
    if (known) return;
    const retiresAt = now + WEBHOOK_SECRET_OVERLAP_SECONDS * 1000;
    this.#sql.exec(`UPDATE webhook_secret SET retires_at = ? WHERE retires_at IS NULL`, retiresAt);
    this.#sql.exec(`INSERT INTO webhook_secret (secret) VALUES (?)`, secret);
    this.#sql.exec(
      `DELETE FROM webhook_secret WHERE retires_at <= ?
         OR n NOT IN (SELECT n FROM webhook_secret ORDER BY n DESC LIMIT ?)`,
      now,
      1 + MAX_OLD_SECRETS,
    );
  }
}
