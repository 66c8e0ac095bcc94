import { quotaExceeded } from '@deblur/shared/protocol/errors.ts';
import { FILE_RETENTION_SECONDS, FILES_MAX_PER_TENANT, RETRY_AFTER_SECONDS } from '@deblur/shared/limits.ts';
import type { FilePage, FileRecord, Files } from './access-ports.ts';
import type { ReceivedSource, SourceStore, StoredBody } from '../sources/ports.ts';
import { callTenant, type TenantStubs } from './tenant-stub.ts';

/** Names in the tenant's object, bytes among the sources: the same picture is kept once, whoever names it. */
export class TenantFiles implements Files {
  readonly #stubs: TenantStubs;
  readonly #sources: Pick<SourceStore, 'open'>;

  constructor(stubs: TenantStubs, sources: Pick<SourceStore, 'open'>) {
    this.#stubs = stubs;
    this.#sources = sources;
  }

  async create(
    tenantId: string,
    source: ReceivedSource,
    { name, metadata }: Pick<FileRecord, 'name' | 'metadata'>,
  ): Promise<FileRecord> {
    // The bytes first: what has a name is there. Anew, so that they live as long as the name.
    await source.keep({ anew: true });
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
    return file && this.#sources.open(file.sha256);
  }
}

/** 128 random bits: an id tells nothing and is not guessed. */
const newFileId = (): string => `file_${crypto.getRandomValues(new Uint8Array(16)).toHex()}`;
