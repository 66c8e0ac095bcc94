/** The API keys of one tenant. The keys themselves are not in it: only what they hash to. */
import { KEY_LAST_USED_STEP_SECONDS } from '@deblur/shared/limits.ts';
import type { ApiKey } from './access-ports.ts';
import type { Scope } from './access-ports.ts';

export const KEY_SCHEMA = `
  CREATE TABLE IF NOT EXISTS api_key (
    id           TEXT PRIMARY KEY,
    digest       TEXT NOT NULL,     -- SHA-256 of the whole key: it has 256 random bits, so a slow hash would add nothing
    name         TEXT NOT NULL,
    scopes       TEXT NOT NULL,     -- JSON array
    created_at   INTEGER NOT NULL,  -- milliseconds since the epoch, as everywhere here
    last_used_at INTEGER,
    expires_at   INTEGER
  ) STRICT`;

interface KeyRow extends Record<string, SqlStorageValue> {
  id: string;
  digest: string;
  name: string;
  scopes: string;
  created_at: number;
  last_used_at: number | null;
  expires_at: number | null;
}

export class KeyTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** @returns false when there are `max` already; the same key twice is once */
  insert({ id, name, scopes, createdAt, expiresAt }: ApiKey, digest: string, max: number): boolean {
    const { count } = this.#sql
      .exec<{ count: number }>(`SELECT count(*) AS count FROM api_key WHERE id <> ?`, id)
      .one();
    if (count >= max) return false;
    this.#sql.exec(
      `INSERT INTO api_key (id, digest, name, scopes, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO NOTHING`,
      id,
      digest,
      name,
      JSON.stringify(scopes),
      createdAt,
      expiresAt,
    );
    return true;
  }

  /** The key of this id, if its digest is this one and it has not expired. */
  find(id: string, digest: string, now: number): ApiKey | null {
    const [row] = this.#sql.exec<KeyRow>(`SELECT * FROM api_key WHERE id = ?`, id).toArray();
    if (row === undefined || !equalInConstantTime(row.digest, digest)) return null;
    if (row.expires_at !== null && row.expires_at <= now) return null;
    if ((row.last_used_at ?? 0) <= now - KEY_LAST_USED_STEP_SECONDS * 1000) {
      this.#sql.exec(`UPDATE api_key SET last_used_at = ? WHERE id = ?`, now, id);
    }
    return keyOf(row);
  }

  list(): ApiKey[] {
    return this.#sql.exec<KeyRow>(`SELECT * FROM api_key ORDER BY created_at DESC, id`).toArray().map(keyOf);
  }

  delete(id: string): boolean {
    return this.#sql.exec(`DELETE FROM api_key WHERE id = ? RETURNING id`, id).toArray().length > 0;
  }
}

function keyOf(row: KeyRow): ApiKey {
  return {
    id: row.id,
    name: row.name,
    scopes: JSON.parse(row.scopes) as Scope[],
    createdAt: row.created_at,
    lastUsedAt: row.last_used_at,
    expiresAt: row.expires_at,
  };
}

/** Both are digests in hexadecimal, so of one length. */
function equalInConstantTime(a: string, b: string): boolean {
  const [left, right] = [a, b].map((text) => new TextEncoder().encode(text));
  return left!.length === right!.length && crypto.subtle.timingSafeEqual(left!, right!);
}
