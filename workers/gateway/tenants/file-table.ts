/** The files of one tenant: names for sources, while those are kept. */
import type { ImageFormat } from '@deblur/shared/image-header/index.ts';
import { FILE_PAGE_SIZE } from '@deblur/shared/limits.ts';
import type { FilePage, FileRecord } from './access-ports.ts';

export const FILE_SCHEMA = `
  CREATE TABLE IF NOT EXISTS file (
    n          INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    format     TEXT NOT NULL,
    bytes      INTEGER NOT NULL,
    sha256     TEXT NOT NULL,     -- of the source: where its bytes are
    metadata   TEXT NOT NULL,     -- JSON object, the caller's
    created_at INTEGER NOT NULL,  -- milliseconds since the epoch
    expires_at INTEGER NOT NULL
  ) STRICT`;

interface FileRow extends Record<string, SqlStorageValue> {
  n: number;
  id: string;
  name: string;
  format: string;
  bytes: number;
  sha256: string;
  metadata: string;
  created_at: number;
  expires_at: number;
}

export class FileTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** @returns false when there are `max` already; the same id twice is once */
  insert(file: FileRecord, max: number, now: number): boolean {
    this.expire(now);
    const { count } = this.#sql
      .exec<{ count: number }>(`SELECT count(*) AS count FROM file WHERE id <> ?`, file.id)
      .one();
    if (count >= max) return false;
    this.#sql.exec(
      `INSERT INTO file (id, name, format, bytes, sha256, metadata, created_at, expires_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
      file.id,
      file.name,
      file.format,
      file.bytes,
      file.sha256,
      JSON.stringify(file.metadata),
      file.createdAt,
      file.expiresAt,
    );
    return true;
  }

  get(id: string, now: number): FileRecord | null {
    const [row] = this.#sql.exec<FileRow>(`SELECT * FROM file WHERE id = ? AND expires_at > ?`, id, now).toArray();
    return row === undefined ? null : fileOf(row);
  }

  delete(id: string, now: number): boolean {
    const deleted = this.#sql.exec(`DELETE FROM file WHERE id = ? AND expires_at > ? RETURNING id`, id, now);
    return deleted.toArray().length > 0;
  }

  /** @param before a cursor of the page before, null for the first */
  page(before: number | null, now: number): FilePage {
    const rows = this.#sql
      .exec<FileRow>(
        `SELECT * FROM file WHERE n < ? AND expires_at > ? ORDER BY n DESC LIMIT ?`,
        before ?? Number.MAX_SAFE_INTEGER,
        now,
        FILE_PAGE_SIZE + 1,
      )
      .toArray();
    const shown = rows.slice(0, FILE_PAGE_SIZE);
    return { files: shown.map(fileOf), next: rows.length > shown.length ? (shown.at(-1)?.n ?? null) : null };
  }

  expire(now: number): void {
    this.#sql.exec(`DELETE FROM file WHERE expires_at <= ?`, now);
  }
}

function fileOf(row: FileRow): FileRecord {
  return {
    id: row.id,
    name: row.name,
    format: row.format as ImageFormat,
    bytes: row.bytes,
    sha256: row.sha256,
    metadata: JSON.parse(row.metadata) as Record<string, unknown>,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
  };
}
