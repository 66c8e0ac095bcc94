/** Whose results are whose: a scope finds and erases its own results, and no other one's. */
import { OPERATOR_TENANT, type Tenant } from '../tenants/access-ports.ts';

/** Everybody's, where the operator shares results (SHARED_CACHE). */
const SHARED_SCOPE = 'shared';

/** That of image links: whoever holds their keys is one party. */
export const IMAGE_LINK_SCOPE = 'image-links';

export interface ScopePorts {
  readonly sharedCache: boolean;
}

/** @param owner a tenant's id, or IMAGE_LINK_SCOPE */
export const scopeOf = ({ sharedCache }: ScopePorts, owner: string): string => (sharedCache ? SHARED_SCOPE : owner);

/** On one's own machine there is one person behind all tenants. */
export const isOperator = ({ id, tier }: Tenant): boolean => id === OPERATOR_TENANT || tier === 'local';
