/** `/v1/keys`: API keys, by whoever has the scope admin. */
import { SMALL_JSON_MAX_BYTES, KEY_NAME_MAX_CHARACTERS } from '@deblur/shared/limits.ts';
import { mustBeInTheFuture, notFound, ownTenantOnly, tenantReserved } from '@deblur/shared/protocol/errors.ts';
import { optionError } from '@deblur/shared/protocol/options.ts';
import type { Handler } from 'hono';
import { z } from 'zod';
import { isReservedTenant, OPERATOR_TENANT, TENANT_ID, type ApiKey, type ApiKeys } from '../../tenants/access-ports.ts';
import type { Tenant } from '../../tenants/access-ports.ts';
import { bodyText } from '../body/body.ts';
import { addToLog, type AppEnv } from '../context.ts';
import { parseJsonObject } from '../body/json.ts';
import type { createdKeySchema, keyListSchema, keySchema } from '../api-schemas.ts';

export interface KeyPorts {
  readonly apiKeys: ApiKeys;
}

const tenantId = z.string().regex(TENANT_ID, 'must be letters, digits and hyphens, 32 at most');

/** The body of `POST /v1/keys`. */
export const newKeySchema = z.strictObject({
  name: z.string().trim().min(1).max(KEY_NAME_MAX_CHARACTERS),
  scopes: z
    .array(z.enum(['create', 'read', 'delete', 'admin']))
    .min(1)
    .transform((scopes) => [...new Set(scopes)])
    .default(['create', 'read', 'delete']),
  expires_at: z.iso.datetime({ offset: true }).transform(Date.parse).nullable().default(null),
  tenant: tenantId.describe("For the operator: whose key it is to be. One's own otherwise.").optional(),
});

/** `POST /v1/keys`: the only answer that shows the key. */
export function postKey({ apiKeys }: KeyPorts): Handler<AppEnv> {
  return async (c) => {
    const parsed = newKeySchema.safeParse(parseJsonObject(await bodyText(c.req.raw.body, SMALL_JSON_MAX_BYTES)));
    if (!parsed.success) throw optionError(parsed.error);
    const { name, scopes, expires_at: expiresAt, tenant } = parsed.data;
    if (expiresAt !== null && expiresAt <= Date.now()) throw mustBeInTheFuture('expires_at');
    const { record, key } = await apiKeys.create(administered(c.get('tenant'), tenant), { name, scopes, expiresAt });
    addToLog(c, { key_created: record.id });
    const body: z.infer<typeof createdKeySchema> = { ...present(record), key };
    return c.json(body, 201, { Location: `/v1/keys/${record.id}` });
  };
}

export const keyListQuerySchema = z.strictObject({
  tenant: tenantId.describe('For the operator: whose keys.').optional(),
});

/** `GET /v1/keys`: the tenant's, newest first. The operator names another by `?tenant=`. */
export function getKeys({ apiKeys }: KeyPorts): Handler<AppEnv> {
  return async (c) => {
    const query = keyListQuerySchema.safeParse(c.req.query());
    if (!query.success) throw optionError(query.error);
    const keys = await apiKeys.list(administered(c.get('tenant'), query.data.tenant));
    const results = keys.map(present);
    return c.json({ previous: null, next: null, results } satisfies z.infer<typeof keyListSchema>);
  };
}

/** `DELETE /v1/keys/{id}`: it stops to open within KEY_CACHE_SECONDS everywhere. */
export function deleteKey({ apiKeys }: KeyPorts): Handler<AppEnv, '/v1/keys/:id'> {
  return async (c) => {
    const id = c.req.param('id');
    const tenantId = id.slice(0, Math.max(0, id.indexOf('_')));
    const caller = c.get('tenant');
    const own = tenantId === caller.id || administersAll(caller);
    if (!own || !TENANT_ID.test(tenantId) || !(await apiKeys.revoke(tenantId, id))) throw notFound('key');
    addToLog(c, { key_deleted: id });
    return c.body(null, 204);
  };
}

const administersAll = ({ id, tier }: Tenant): boolean => id === OPERATOR_TENANT || tier === 'local';

/** The tenant whose keys these are: one's own, unless one administers all. */
function administered(caller: Tenant, tenantId: string | undefined): string {
  if (tenantId === undefined || tenantId === caller.id) return caller.id;
  if (!administersAll(caller)) throw ownTenantOnly();
  if (isReservedTenant(tenantId)) throw tenantReserved(tenantId);
  return tenantId;
}

const timeOf = (ms: number): string => new Date(ms).toISOString();

function present({ id, name, scopes, createdAt, lastUsedAt, expiresAt }: ApiKey): z.infer<typeof keySchema> {
  return {
    id,
    tenant: id.slice(0, id.indexOf('_')),
    name,
    scopes: [...scopes],
    created_at: timeOf(createdAt),
    last_used_at: lastUsedAt === null ? null : timeOf(lastUsedAt),
    expires_at: expiresAt === null ? null : timeOf(expiresAt),
  };
}
