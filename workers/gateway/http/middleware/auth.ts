/** Who asks, and what they may do. */
import { sha256Hex } from '@deblur/shared/net/digest.ts';
import { keyInvalid, keyNeeded, scopeMissing, type DeblurError } from '@deblur/shared/protocol/errors.ts';
import { AUTHORIZATION_MAX_CHARACTERS } from '@deblur/shared/limits.ts';
import { fromBase64url } from '@deblur/shared/net/http.ts';
import { parseIpv6 } from '@deblur/shared/net/url-guard.ts';
import type { MiddlewareHandler } from 'hono';
import type { ApiKeys, Caller, NetworkAccount, RateAccount, RateLimits } from '../../tenants/access-ports.ts';
import type { Scope, Tenant } from '../../tenants/access-ports.ts';
import { addToLog, type AppContext, type AppEnv } from '../context.ts';
import { admit } from './rate-limit.ts';

/** `local`: everybody may do everything, with any bearer token or none, and no limit counts. */
export type AccessMode = 'local' | 'keys' | 'keys_and_anonymous';

export interface AuthPorts {
  readonly accessMode: AccessMode;
  readonly apiKeys: ApiKeys;
  /** Turns client addresses into names that tell nobody the address. */
  readonly addressSalt: string;
  readonly rateLimits: RateLimits;
}

const LOCAL: Caller = {
  tenant: { id: 'local', tier: 'local', scopes: new Set(['create', 'read', 'delete', 'admin']) },
  account: { key: 'local', tier: 'local' },
  keyId: null,
};

/** A visitor owns what its token has made. */
const VISITOR_SCOPES: readonly Scope[] = ['create', 'read', 'delete'];

/** What may be done without a key: to restore, and to look at what came of it. Files and keys belong to somebody. */
const ANONYMOUS_SCOPES: readonly Scope[] = ['create', 'read'];

/**
 * Reads `Authorization: Bearer <key>` (RFC 6750), or `Token <key>` as older clients of Replicate send it.
 * @throws {DeblurError} `unauthorized` for a key that is nobody's: never the anonymous tier, whose smaller limits would
 * hide the mistake; `rate_limited` for too many unknown keys from one address
 */
export function authenticate({ accessMode, apiKeys, addressSalt, rateLimits }: AuthPorts): MiddlewareHandler<AppEnv> {
  const identify = async (c: AppContext): Promise<Caller> => {
    if (accessMode === 'local') return LOCAL;
    const anonymous = await anonymousCaller(c, addressSalt, accessMode === 'keys' ? [] : ANONYMOUS_SCOPES);
    const authorization = c.req.header('authorization');
    if (authorization === undefined) return anonymous;
    const key = bearerToken(authorization);
    const caller =
      key &&
      ((await visitorCaller(key, anonymous)) ??
        (await apiKeys.authenticate(key, () => admit(rateLimits, anonymous.account, c))));
    if (caller) return caller;
    c.header('WWW-Authenticate', `${CHALLENGE}, error="invalid_token"`);
    throw keyInvalid();
  };
  return async (c, next) => {
    const { tenant, account, keyId } = await identify(c);
    c.set('tenant', tenant);
    c.set('account', account);
    addToLog(c, { account: account.key, ...(keyId === null ? {} : { key: keyId }) });
    await next();
  };
}

/** For what looks at no key and yet makes us call others: each client address by itself. */
export function limitByAddress({ accessMode, addressSalt, rateLimits }: AuthPorts): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    if (accessMode !== 'local') await admit(rateLimits, (await anonymousCaller(c, addressSalt, [])).account, c);
    await next();
  };
}

const CHALLENGE = 'Bearer realm="deblur"';

/** @throws {DeblurError} `unauthorized` when a key would help, `forbidden` when this key does not */
export function requireScope(scope: Scope): MiddlewareHandler<AppEnv> {
  return requireTier(scope, ['local', 'anonymous', 'visitor', 'key']);
}

/** For resources that belong to one owner: a caller without key or token shares an address with others. */
export function requireOwner(scope: Scope): MiddlewareHandler<AppEnv> {
  return requireTier(scope, ['local', 'visitor', 'key']);
}

/** For resources of the holders of keys. */
export function requireKey(scope: Scope): MiddlewareHandler<AppEnv> {
  return requireTier(scope, ['local', 'key']);
}

function requireTier(scope: Scope, tiers: readonly Tenant['tier'][]): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const { scopes, tier } = c.get('tenant');
    if (!tiers.includes(tier) || !scopes.has(scope))
      throw refusal(c, scope, tier === 'anonymous' || tier === 'visitor');
    await next();
  };
}

/** RFC 6750 § 3: who sent no key is told nothing but that one is needed. */
function refusal(c: AppContext, scope: Scope, anonymous: boolean): DeblurError {
  if (anonymous) {
    c.header('WWW-Authenticate', CHALLENGE);
    return keyNeeded();
  }
  c.header('WWW-Authenticate', `${CHALLENGE}, error="insufficient_scope", scope="${scope}"`);
  return scopeMissing(scope);
}

function bearerToken(authorization: string): string | null {
  if (authorization.length > AUTHORIZATION_MAX_CHARACTERS) return null;
  return /^(?:Bearer|Token) +([A-Za-z0-9._~+/_-]+=*) *$/i.exec(authorization)?.[1] ?? null;
}

const VISITOR_TOKEN = /^visitor_([A-Za-z0-9_-]{43})$/;

/**
 * The caller with a token that a page has made and keeps in its browser: 256 random bits, in unpadded base64url. What the
 * token makes belongs to whoever has it; the budget is that of the address. Null for another credential.
 */
async function visitorCaller(token: string, { tenant, account }: Caller): Promise<Caller | null> {
  const [, secret] = VISITOR_TOKEN.exec(token) ?? [];
  if (secret === undefined || fromBase64url(secret) === null) return null;
  const id = `visitor-${(await sha256Hex(`visitor\n${secret}`)).slice(0, 32)}`;
  const scopes = new Set(tenant.scopes.has('create') ? VISITOR_SCOPES : []);
  return { tenant: { id, tier: 'visitor', scopes }, account, keyId: null };
}

/** A tenant for each client address: what others restore is not seen. Behind one address all are one. */
async function anonymousCaller(c: AppContext, salt: string, scopes: readonly Scope[]): Promise<Caller> {
  const nameOf = async (text: string): Promise<string> =>
    `anonymous-${(await sha256Hex(`anonymous\n${salt}\n${text}`)).slice(0, 32)}`;
  const { client, networks } = clientNetworks(c.req.header('cf-connecting-ip') ?? '');
  const id = await nameOf(client);
  const around = networks.map(async ({ text, prefix }) => ({ key: await nameOf(text), prefix }));
  const account: RateAccount = { key: id, tier: 'anonymous', networks: await Promise.all(around) };
  return { tenant: { id, tier: 'anonymous', scopes: new Set(scopes) }, account, keyId: null };
}

/** A client as limits see it. */
export interface ClientNetworks {
  /** One subscriber: an IPv4 address, or the /64 of an IPv6 address, all of whose addresses are one customer's. */
  readonly client: string;
  /** What a customer may have of IPv6 (RFC 6177): there may be thousands of subscribers in it, and one person behind all. */
  readonly networks: readonly (Pick<NetworkAccount, 'prefix'> & { readonly text: string })[];
}

/** @param address what Cloudflare saw; what the client claims in X-Forwarded-For counts for nothing */
export function clientNetworks(address: string): ClientNetworks {
  const groups = parseIpv6(address);
  if (groups === undefined) return { client: address, networks: [] };
  const text = (some: readonly number[]): string => some.map((group) => group.toString(16)).join(':');
  // IPv4 in IPv6's clothes (::ffff:0:0/96) is one address and not a network of them.
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff)
    return { client: text(groups), networks: [] };
  const [a = 0, b = 0, third = 0, fourth = 0] = groups;
  return {
    client: text(groups.slice(0, 4)),
    networks: [
      { prefix: 56, text: `${text([a, b, third, fourth & 0xff00])}/56` },
      { prefix: 48, text: `${text([a, b, third])}/48` },
    ],
  };
}
