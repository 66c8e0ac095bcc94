/** The way to a tenant's object. */
import { serviceUnavailable } from '@deblur/shared/protocol/errors.ts';
import { RETRY_AFTER_SECONDS } from '@deblur/shared/limits.ts';
import type { ApiKey, FilePage, FileRecord } from './access-ports.ts';

/** The methods of TenantObject that are called from outside. */
export interface TenantStub {
  findKey(id: string, digest: string): Promise<ApiKey | null>;
  putKey(key: ApiKey, digest: string, max: number): Promise<boolean>;
  listKeys(): Promise<ApiKey[]>;
  deleteKey(id: string): Promise<boolean>;
  signingSecrets(candidate: string): Promise<string[]>;
  rotateSecret(next: string): Promise<string>;
  putFile(file: FileRecord, max: number): Promise<boolean>;
  getFile(id: string): Promise<FileRecord | null>;
  deleteFile(id: string): Promise<boolean>;
  listFiles(before: number | null): Promise<FilePage>;
}

/** Gives a new stub each time: after an error the old one stays broken. */
export type TenantStubs = (tenantId: string) => TenantStub;

const MAX_ATTEMPTS = 2;

/**
 * Calls again when the object was moved or deployed under the call; every method is idempotent.
 * @throws {DeblurError} `service_unavailable`
 */
export async function callTenant<T>(
  stubs: TenantStubs,
  tenantId: string,
  call: (tenant: TenantStub) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call(stubs(tenantId));
    } catch (cause) {
      // What workerd writes on errors of Durable Objects.
      const { retryable, overloaded } = cause as { readonly retryable?: boolean; readonly overloaded?: boolean };
      if (attempt < MAX_ATTEMPTS && retryable === true && overloaded !== true) continue;
      throw serviceUnavailable("tenant's record", RETRY_AFTER_SECONDS, cause);
    }
  }
}
