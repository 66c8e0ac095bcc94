/** The way to a tenant's object. */
import { callObject, type Namespace, type Stub } from '../call-object.ts';
import type { TenantObject } from './tenant-object.ts';

export type TenantStubs = Namespace<TenantObject>;

/** @throws {DeblurError} `service_unavailable` */
export function callTenant<T>(
  stubs: TenantStubs,
  tenantId: string,
  call: (tenant: Stub<TenantObject>) => Promise<T>,
): Promise<T> {
  return callObject(stubs, tenantId, "tenant's record", call);
}
