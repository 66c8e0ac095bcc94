import { quotaExceeded } from '@deblur/shared/protocol/errors.ts';
import { FILE_RETENTION_SECONDS, FILES_MAX_PER_TENANT, RETRY_AFTER_SECONDS } from '@deblur/shared/limits.ts';
import type { PictureKeys } from '@deblur/shared/protocol/result-key.ts';
import type { FilePage, FileRecord, Files } from './access-ports.ts';
import type { ReceivedSource, SourceStore, StoredBody } from '../sources/source-store.ts';
import { callTenant, type TenantStubs } from './tenant-stub.ts';

export interface FilesPorts {
  readonly sources: Pick<SourceStore, 'open'>;
  readonly keys: PictureKeys;
  /** Under which scope a tenant's sources are kept. */
  readonly scopeOf: (tenantId: string) => string;
}

/** Names in the tenant's object, bytes among the sources of its scope. */
export class TenantFiles implements Files {
  readonly #stubs: TenantStubs;
  readonly #ports: FilesPorts;

  constructor(stubs: TenantStubs, ports: FilesPorts) {
    this.#stubs = stubs;
    this.#ports = ports;
  }

  async create(
    tenantId: string,
    source: ReceivedSource,
    { name, metadata }: Pick<FileRecord, 'name' | 'metadata'>,
  ): Promise<FileRecord> {
    // The bytes first: what has a name is there. Anew, so that they live as long as the name.
    await source.keep(this.#ports.scopeOf(tenantId), { anew: true });
    const now = Date.now();
    const file: FileRecord = {
      id: newFileId(),
      name,
      format: source.header.format,
      bytes: source.bytes,
      sha256: source.digest,
      metadata,
      createdAt: now,
      expiresAt: now + FILE_RETENTION_SECONDS * 1000,
    };
    if (await callTenant(this.#stubs, tenantId, (tenant) => tenant.putFile(file, FILES_MAX_PER_TENANT))) return file;
    throw quotaExceeded('file', FILES_MAX_PER_TENANT, RETRY_AFTER_SECONDS);
  }

  get(tenantId: string, id: string): Promise<FileRecord | null> {
    return callTenant(this.#stubs, tenantId, (tenant) => tenant.getFile(id));
  }

  delete(tenantId: string, id: string): Promise<boolean> {
    return callTenant(this.#stubs, tenantId, (tenant) => tenant.deleteFile(id));
  }

  list(tenantId: string, cursor: number | null): Promise<FilePage> {
    return callTenant(this.#stubs, tenantId, (tenant) => tenant.listFiles(cursor));
  }

  async open(tenantId: string, id: string): Promise<StoredBody | null> {
    const file = await this.get(tenantId, id);
    if (file === null) return null;
    const { sources, keys, scopeOf } = this.#ports;
    const kept = await sources.open(await keys.source(scopeOf(tenantId), file.sha256));
    // Files of version 0.1.0 lie under their digest.
    return kept ?? sources.open(file.sha256);
  }
}

/** 128 random bits: an id tells nothing and is not guessed. */
const newFileId = (): string => `file_${crypto.getRandomValues(new Uint8Array(16)).toHex()}`;
