/** A picture by its address → a stored result: the decisions of `GET /i/…`, without HTTP. */
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import type { Options } from '@deblur/shared/protocol/options.ts';
import type { TraceContext } from '@deblur/shared/protocol/trace-context.ts';
import type { DeblurPorts } from './deblur.ts';
import { resolveModel } from './models.ts';
import { planJob } from './plan.ts';
import type { CacheStatus } from '../jobs/ports.ts';
import type { ReceivedSource } from '../sources/ports.ts';
import type { Tenant } from '../tenants/access-ports.ts';
import type { References } from '../references/ports.ts';
import { SourceChanged, type SourceLinks } from '../sources/ports.ts';
import { withTimeout } from '../with-timeout.ts';

export interface LinkPorts extends DeblurPorts {
  readonly links: SourceLinks;
  readonly references: References;
}

export interface LinkCommand {
  readonly url: string;
  readonly options: Options;
  readonly accept: string | null;
  readonly trace?: TraceContext | undefined;
  readonly waitSeconds: number;
  /** The caller's: a source is not fetched for who has gone. */
  readonly signal: AbortSignal;
  readonly isCached: (resultKey: string) => Promise<boolean>;
}

export interface LinkedResult {
  readonly resultKey: string;
  /** `pending`: the wait has expired, the work goes on. */
  readonly cache: CacheStatus | 'pending';
}

/** On whose behalf image links obtain results: whoever has the keys is one party. */
export const IMAGE_LINK_TENANT: Tenant = { id: 'image-links', tier: 'key', scopes: new Set(['create', 'read']) };

/** The second finds the bytes that the first one has left, unless somebody else met other ones in between. */
const MAX_ATTEMPTS = 2;

/** @throws {DeblurError} what is wrong with the source, `model_unavailable`, `not_acceptable`, and why a job failed */
export async function restoreLink(ports: LinkPorts, command: LinkCommand): Promise<LinkedResult> {
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    try {
      return await restoreOnce(ports, command);
    } catch (error) {
      if (!(error instanceof SourceChanged)) throw error;
    }
  }
  throw new DeblurError('source_fetch_failed', 'The source is another one each time.');
}

async function restoreOnce(ports: LinkPorts, command: LinkCommand): Promise<LinkedResult> {
  const source = await ports.links.receive(command.url, command.signal);
  try {
    return await restoreSource(ports, source, command);
  } finally {
    await source.discard();
  }
}

async function restoreSource(ports: LinkPorts, source: ReceivedSource, command: LinkCommand): Promise<LinkedResult> {
  const { options, accept, trace, waitSeconds } = command;
  const request = await planJob(resolveModel(ports.catalogue, options.model), { source, options, accept, trace });
  const { resultKey } = request.task;
  if (await command.isCached(resultKey)) return { resultKey, cache: 'hit' };
  await ports.references.acquire(IMAGE_LINK_TENANT.id, { request, header: source.header });
  if ((await ports.results.head('result', resultKey)) !== null) return { resultKey, cache: 'hit' };
  await source.keep();
  const expired = new DeblurError('deadline_exceeded', 'The wait has expired.');
  try {
    const { cache } = await withTimeout(ports.jobs.obtain(request), waitSeconds * 1000, () => expired);
    return { resultKey, cache };
  } catch (error) {
    if (error === expired) return { resultKey, cache: 'pending' };
    throw error;
  }
}
