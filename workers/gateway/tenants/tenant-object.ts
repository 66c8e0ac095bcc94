/**
 * One object for each tenant: its API keys, webhook secrets and files. Tables are made with the first write, so that a
 * tenant somebody invents leaves nothing behind. Every method is idempotent: ids and secrets are made by who calls.
 */
import { DurableObject } from 'cloudflare:workers';
import { TENANT_SWEEP_SECONDS } from '@deblur/shared/limits.ts';
import type { ApiKey, FilePage, FileRecord } from './access-ports.ts';
import { FILE_SCHEMA, FileTable } from './file-table.ts';
import { KEY_SCHEMA, KeyTable } from './key-table.ts';
import { SECRET_SCHEMA, SecretTable } from './secret-table.ts';

interface Tables {
  readonly keys: KeyTable;
  readonly secrets: SecretTable;
  readonly files: FileTable;
}

export class TenantObject extends DurableObject<Env> {
  #tables: Tables | undefined;

  findKey(id: string, digest: string): ApiKey | null {
    return this.#existing()?.keys.find(id, digest, Date.now()) ?? null;
  }

  /** @returns false when there are `max` already */
  putKey(key: ApiKey, digest: string, max: number): boolean {
    return this.#made().keys.insert(key, digest, max);
  }

  listKeys(): ApiKey[] {
    return this.#existing()?.keys.list() ?? [];
  }

  deleteKey(id: string): boolean {
    return this.#existing()?.keys.delete(id) ?? false;
  }

  /** @param candidate becomes the first secret when there is none */
  signingSecrets(candidate: string): string[] {
    const { secrets } = this.#made();
    if (secrets.signing(Date.now()).length === 0) secrets.rotate(candidate, Date.now());
    return secrets.signing(Date.now());
  }

  rotateSecret(next: string): string {
    this.#made().secrets.rotate(next, Date.now());
    return next;
  }

  /** @returns false when there are `max` already */
  async putFile(file: FileRecord, max: number): Promise<boolean> {
    const put = this.#made().files.insert(file, max, Date.now());
    if ((await this.ctx.storage.getAlarm()) === null) await this.#sweepLater();
    return put;
  }

  getFile(id: string): FileRecord | null {
    return this.#existing()?.files.get(id, Date.now()) ?? null;
  }

  deleteFile(id: string): boolean {
    return this.#existing()?.files.delete(id, Date.now()) ?? false;
  }

  listFiles(before: number | null): FilePage {
    return this.#existing()?.files.page(before, Date.now()) ?? { files: [], next: null };
  }

  override async alarm(): Promise<void> {
    const tables = this.#existing();
    tables?.files.expire(Date.now());
    if (tables !== undefined && tables.files.page(null, Date.now()).files.length > 0) await this.#sweepLater();
  }

  #sweepLater(): Promise<void> {
    return this.ctx.storage.setAlarm(Date.now() + TENANT_SWEEP_SECONDS * 1000);
  }

  #existing(): Tables | undefined {
    const { sql } = this.ctx.storage;
    if (this.#tables !== undefined) return this.#tables;
    const known =
      sql.exec(`SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'api_key'`).toArray().length > 0;
    return known ? this.#made() : undefined;
  }

  #made(): Tables {
    const { sql } = this.ctx.storage;
    if (this.#tables === undefined) {
      for (const schema of [KEY_SCHEMA, SECRET_SCHEMA, FILE_SCHEMA]) sql.exec(schema);
      this.#tables = { keys: new KeyTable(sql), secrets: new SecretTable(sql), files: new FileTable(sql) };
    }
    return this.#tables;
  }
}
