/** `DELETE /v1/results/{key}`: the result of a scope goes, in every format, with its master and its source. */
import { gone, notFound, serviceUnavailable } from '@deblur/shared/protocol/errors.ts';
import { RETRY_AFTER_SECONDS } from '@deblur/shared/limits.ts';
import type { PictureKeys } from '@deblur/shared/protocol/result-key.ts';
import type { CachePurge } from '../results/cache-purge.ts';
import type { ResultStore } from '../results/result-store.ts';
import type { SourceStore } from '../sources/source-store.ts';
import type { Tenant } from '../tenants/access-ports.ts';
import { otherFormatKeys } from './other-format.ts';
import { isOperator, scopeOf, type ScopePorts } from './scope.ts';

export interface ErasePorts extends ScopePorts {
  readonly keys: PictureKeys;
  readonly results: ResultStore;
  readonly sources: Pick<SourceStore, 'delete'>;
  readonly purge: CachePurge;
}

/**
 * Tombstones stay where the result and its master were. A result of version 0.1.0, which has no scope, and shared results are
 * erased by the operator only.
 * @returns the keys that caches may still have
 * @throws {DeblurError} `not_found` also for another scope's result, `gone` when it was erased before, `service_unavailable`
 * when the caches could not be purged: the next DELETE purges them
 */
export async function eraseResult(ports: ErasePorts, tenant: Tenant, key: string): Promise<readonly string[]> {
  const { results, keys, sources } = ports;
  const found = await results.head('result', key);
  const scope = found?.kind === 'stored' ? (found.restoration?.scope ?? '') : found?.scope;
  const isOwn = scope === scopeOf(ports, tenant.id) && !ports.sharedCache;
  if (found === null || scope === undefined || !(isOwn || isOperator(tenant))) throw notFound('result');
  if (found.kind === 'erased') {
    await purged(ports.purge, [key]);
    throw gone('result');
  }
  const siblings = await otherFormatKeys(keys, found);
  const stored = await Promise.all(siblings.map(async (sibling) => (await results.head('result', sibling))?.kind));
  const erased = [key, ...siblings.filter((_, i) => stored[i] === 'stored')];
  await Promise.all(erased.map((one) => results.erase('result', one, scope)));
  if (found.restoration !== null) {
    const { restorationKey, sourceKey } = found.restoration;
    await Promise.all([results.erase('master', restorationKey, scope), sources.delete(sourceKey)]);
  }
  await purged(ports.purge, erased);
  return erased;
}

async function purged(purge: CachePurge, keys: readonly string[]): Promise<void> {
  try {
    await purge.purge(keys.map((key) => `result-${key}`));
  } catch (cause) {
    throw serviceUnavailable('cache in front of the service', RETRY_AFTER_SECONDS, cause);
  }
}
