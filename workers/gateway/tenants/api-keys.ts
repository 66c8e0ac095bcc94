/**
 * API keys: `deblur_{tenant}_{16 hex digits}_{64 hex digits}`. The key names its tenant, so that one call to one object finds
 * it; its middle names it in lists and logs; its end is 256 random bits.
 *
 * The first key. ADMIN_KEY, a secret of the deployment, is a key of the tenant `operator` with every scope. With it the
 * operator makes keys: `POST /v1/keys {"tenant": "acme", "scopes": ["create", "read", "delete", "admin"]}`. It stays as the way back in;
 * to change it is to set the secret anew.
 */
import { sha256Hex } from '@deblur/shared/net/digest.ts';
import { quotaExceeded } from '@deblur/shared/protocol/errors.ts';
import { KEY_CACHE_MAX_ENTRIES, KEY_CACHE_SECONDS, KEYS_MAX_PER_TENANT } from '@deblur/shared/limits.ts';
import { OPERATOR_TENANT, type ApiKey, type ApiKeys, type Caller, type NewApiKey } from './access-ports.ts';
import type { Scope } from './access-ports.ts';
import { callTenant, type TenantStubs } from './tenant-stub.ts';

const KEY = /^deblur_([a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?)_([0-9a-f]{16})_[0-9a-f]{64}$/;

const ALL_SCOPES: readonly Scope[] = ['create', 'read', 'delete', 'admin'];

interface Remembered {
  readonly caller: Caller | null;
  readonly until: number;
}

export interface TenantApiKeysOptions {
  readonly stubs: TenantStubs;
  /** Null: there is none. */
  readonly adminKey: string | null;
}

export class TenantApiKeys implements ApiKeys {
  readonly #stubs: TenantStubs;
  readonly #adminDigest: Promise<string> | null;
  /** By the key's digest: so finding one takes no time that tells of a key, and the memory holds none. Oldest first. */
  readonly #remembered = new Map<string, Remembered>();

  constructor({ stubs, adminKey }: TenantApiKeysOptions) {
    this.#stubs = stubs;
    this.#adminDigest = adminKey === null ? null : sha256Hex(adminKey);
  }

  async authenticate(key: string, admitLookup: () => Promise<void>): Promise<Caller | null> {
    const digest = await sha256Hex(key);
    // Comparing digests tells nothing about the key.
    if (digest === (await this.#adminDigest)) return callerOf(OPERATOR_TENANT, 'admin', ALL_SCOPES);
    const [, tenantId, serial] = KEY.exec(key) ?? [];
    if (tenantId === undefined) return null;
    const known = this.#remembered.get(digest);
    if (known !== undefined && known.until > Date.now()) return known.caller;
    await admitLookup();
    // What is remembered is the answer, not its promise: that belongs to this request, and ends with it.
    const caller = await this.#lookUp(tenantId, `${tenantId}_${serial}`, digest);
    this.#remember(digest, caller);
    return caller;
  }

  async create(tenantId: string, { name, scopes, expiresAt }: NewApiKey): Promise<{ record: ApiKey; key: string }> {
    const id = `${tenantId}_${randomHex(8)}`;
    const key = `deblur_${id}_${randomHex(32)}`;
    const digest = await sha256Hex(key);
    const record: ApiKey = { id, name, scopes, createdAt: Date.now(), lastUsedAt: null, expiresAt };
    const put = await callTenant(this.#stubs, tenantId, (tenant) => tenant.putKey(record, digest, KEYS_MAX_PER_TENANT));
    if (!put) throw quotaExceeded('key', KEYS_MAX_PER_TENANT);
    return { record, key };
  }

  list(tenantId: string): Promise<readonly ApiKey[]> {
    return callTenant(this.#stubs, tenantId, (tenant) => tenant.listKeys());
  }

  /** In this isolate at once, elsewhere within KEY_CACHE_SECONDS. */
  async revoke(tenantId: string, id: string): Promise<boolean> {
    const revoked = await callTenant(this.#stubs, tenantId, (tenant) => tenant.deleteKey(id));
    this.#remembered.clear();
    return revoked;
  }

  async #lookUp(tenantId: string, id: string, digest: string): Promise<Caller | null> {
    const key = await callTenant(this.#stubs, tenantId, (tenant) => tenant.findKey(id, digest));
    return key && callerOf(tenantId, id, key.scopes);
  }

  #remember(digest: string, caller: Caller | null): void {
    this.#remembered.delete(digest);
    this.#remembered.set(digest, { caller, until: Date.now() + KEY_CACHE_SECONDS * 1000 });
    if (this.#remembered.size <= KEY_CACHE_MAX_ENTRIES) return;
    const [oldest] = this.#remembered.keys();
    if (oldest !== undefined) this.#remembered.delete(oldest);
  }
}

function callerOf(tenantId: string, keyId: string, scopes: readonly Scope[]): Caller {
  return {
    tenant: { id: tenantId, tier: 'key', scopes: new Set(scopes) },
    account: { key: `tenant:${tenantId}`, tier: 'key' },
    keyId,
  };
}

const randomHex = (bytes: number): string => crypto.getRandomValues(new Uint8Array(bytes)).toHex();
