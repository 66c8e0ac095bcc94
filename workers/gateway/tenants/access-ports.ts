/** What access control, files and rate limits need from the world. `tenants/` and `limits/` implement these. */
import type { ImageFormat } from '@deblur/shared/image-header/index.ts';
import type { ReceivedSource, StoredBody } from '../sources/source-store.ts';

// ---- Callers -----------------------------------------------------------------------------------

export type Scope = 'create' | 'read' | 'delete' | 'admin';

/** On whose behalf a request runs: predictions, files and results belong to one tenant. */
export interface Tenant {
  readonly id: string;
  /**
   * `local`: everybody on one's own machine. `anonymous`: no key, smaller limits. `visitor`: the same limits, and a token of
   * one's own. `key`: an API key's owner.
   */
  readonly tier: 'local' | 'anonymous' | 'visitor' | 'key';
  readonly scopes: ReadonlySet<Scope>;
}

/**
 * The tenant that administers all others: the bearer of ADMIN_KEY, and of admin keys made with it for this tenant. Everyone
 * else administers their own.
 */
export const OPERATOR_TENANT = 'operator';

/** A name for a tenant: letters of a URL and of a host name. No underscore: it parts the pieces of a key. */
export const TENANT_ID = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/;

/** Tenants that the service itself makes: nobody gets a key for one of them. */
const RESERVED_TENANT = /^(?:local|shared|image-links|anonymous(?:-.*)?|visitor(?:-.*)?)$/;

export const isReservedTenant = (tenantId: string): boolean => RESERVED_TENANT.test(tenantId);

/** Whose account is charged: plain data, so that it can be stored with what is charged later. */
export interface RateAccount {
  /** Names the bucket: a tenant, whatever key it sends, or a client address in other words. */
  readonly key: string;
  readonly tier: Exclude<Tenant['tier'], 'visitor'>;
  /** Larger networks around an anonymous caller, which pay as well. */
  readonly networks?: readonly NetworkAccount[];
}

/** A network around an IPv6 client. */
export interface NetworkAccount {
  readonly key: string;
  /** Length of the prefix. */
  readonly prefix: 56 | 48;
}

/** Who asks, and who pays. */
export interface Caller {
  readonly tenant: Tenant;
  readonly account: RateAccount;
  /** For the log: by which key. Null without one. */
  readonly keyId: string | null;
}

// ---- API keys ----------------------------------------------------------------------------------

/** Everything about a key but the key. Times in milliseconds since the epoch. */
export interface ApiKey {
  /** `{tenant}_{16 hex digits}` */
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly createdAt: number;
  /** To the hour; null when it never was. */
  readonly lastUsedAt: number | null;
  readonly expiresAt: number | null;
}

export interface NewApiKey {
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly expiresAt: number | null;
}

export interface ApiKeys {
  /**
   * Who bears this key, null when nobody does. Remembered for KEY_CACHE_SECONDS; at most one call to the tenant's object.
   * @param admitLookup asked before that call: a flood of invented keys ends here
   */
  authenticate(key: string, admitLookup: () => Promise<void>): Promise<Caller | null>;
  /**
   * @returns the key itself too, which is not stored and never shown again
   * @throws {DeblurError} `invalid_option` when the tenant has too many
   */
  create(tenantId: string, key: NewApiKey): Promise<{ readonly record: ApiKey; readonly key: string }>;
  /** Newest first. */
  list(tenantId: string): Promise<readonly ApiKey[]>;
  /** @returns false when there was none */
  revoke(tenantId: string, id: string): Promise<boolean>;
}

// ---- Webhook secrets ---------------------------------------------------------------------------

export interface WebhookSecrets {
  /** All that sign now, the current one first: two for WEBHOOK_SECRET_OVERLAP_SECONDS after a rotation. */
  signing(tenantId: string): Promise<readonly [current: string, ...older: string[]]>;
  /** @returns the new one */
  rotate(tenantId: string): Promise<string>;
}

// ---- Files -------------------------------------------------------------------------------------

/** An uploaded picture that predictions may name. Times in milliseconds since the epoch. */
export interface FileRecord {
  readonly id: string;
  readonly name: string;
  readonly format: ImageFormat;
  readonly bytes: number;
  /** SHA-256, hexadecimal. */
  readonly sha256: string;
  /** The caller's own JSON object. */
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly createdAt: number;
  readonly expiresAt: number;
}

export interface FilePage {
  /** Newest first. */
  readonly files: readonly FileRecord[];
  /** Where the next page begins; null on the last. */
  readonly next: number | null;
}

/** A tenant has its own files only: another's id is unknown here. */
export interface Files {
  /** Keeps the bytes and names them. @throws {DeblurError} `rate_limited` when the tenant has too many */
  create(tenantId: string, source: ReceivedSource, about: Pick<FileRecord, 'name' | 'metadata'>): Promise<FileRecord>;
  get(tenantId: string, id: string): Promise<FileRecord | null>;
  /** The name goes; the bytes go with their retention, since equal uploads share them. @returns false when there was none */
  delete(tenantId: string, id: string): Promise<boolean>;
  list(tenantId: string, cursor: number | null): Promise<FilePage>;
  /** The bytes; null when the tenant has no such file, or no longer. */
  open(tenantId: string, id: string): Promise<StoredBody | null>;
}

// ---- Rate limits -------------------------------------------------------------------------------

/** A bucket after a charge. */
export interface RateCharge {
  readonly allowed: boolean;
  /** Megapixels that may still be spent at once. */
  readonly remaining: number;
  /** Until the bucket is full again. */
  readonly resetSeconds: number;
  /** Until the same charge would be allowed; 0 when it was. */
  readonly retryAfterSeconds: number;
  /** Whose bucket it is, for people: `this API key`, `this address`, `all anonymous work`. */
  readonly limit: string;
}

export interface RateLimits {
  /** Whether one more request may come now, of any kind: a counter in this data centre, fast and approximate. */
  admit(account: RateAccount): Promise<boolean>;
  /** Spends megapixels if they are there, of each bucket that pays: each is one in the world, exact. */
  charge(account: RateAccount, megapixels: number): Promise<RateCharge>;
  /** Gives back what was spent on nothing. */
  refund(account: RateAccount, megapixels: number): Promise<void>;
}
