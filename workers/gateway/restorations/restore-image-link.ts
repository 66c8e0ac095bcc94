/** A picture by its address → a stored result: the decisions of `GET /i/…`, without HTTP. */
import { sourceKeepsChanging, waitExpired } from '@deblur/shared/protocol/errors.ts';
import type { Options } from '@deblur/shared/protocol/options.ts';
import type { TraceContext } from '@deblur/shared/protocol/trace-context.ts';
import type { CacheStatus } from '../jobs/ports.ts';
import { SourceChanged, type SourceLinks } from '../sources/source-links.ts';
import { withTimeout } from '../with-timeout.ts';
import { claimRestoration } from './claim-restoration.ts';
import type { DeblurPorts } from './deblur.ts';
import { IMAGE_LINK_SCOPE, scopeOf, type ScopePorts } from './scope.ts';

export interface LinkPorts extends DeblurPorts, ScopePorts {
  readonly links: Pick<SourceLinks, 'receive'>;
}

export interface LinkCommand {
  readonly url: string;
  readonly options: Options;
  readonly accept: string | null;
  readonly trace?: TraceContext | undefined;
  readonly waitSeconds: number;
  /** The caller's: a source is not fetched for a caller who has gone. */
  readonly signal: AbortSignal;
}

export interface LinkedResult {
  readonly resultKey: string;
  /** `pending`: the wait has expired, the work goes on. */
  readonly cache: CacheStatus | 'pending';
}

/** The second attempt finds the bytes that the first one has left, unless another request met other bytes in between. */
const MAX_ATTEMPTS = 2;

/** @throws {DeblurError} what is wrong with the source, `model_unavailable`, `not_acceptable`, and why a job failed */
export async function restoreImageLink(ports: LinkPorts, command: LinkCommand): Promise<LinkedResult> {
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    try {
      return await restoreOnce(ports, command);
    } catch (error) {
      if (!(error instanceof SourceChanged)) throw error;
    }
  }
  throw sourceKeepsChanging();
}

async function restoreOnce(
  ports: LinkPorts,
  { url, signal, waitSeconds, ...asked }: LinkCommand,
): Promise<LinkedResult> {
  const source = await ports.links.receive(url, signal);
  const expired = waitExpired();
  let resultKey = '';
  try {
    const scope = scopeOf(ports, IMAGE_LINK_SCOPE);
    const claimed = await claimRestoration(ports, { ...asked, source, scope, payment: { kind: 'none' } });
    resultKey = claimed.job.task.resultKey;
    if (claimed.kind === 'stored') {
      await claimed.result.body.cancel();
      return { resultKey, cache: 'hit' };
    }
    const { cache } = await withTimeout(ports.jobs.obtain(claimed.job), waitSeconds * 1000, () => expired);
    return { resultKey, cache };
  } catch (error) {
    if (error === expired) return { resultKey, cache: 'pending' };
    throw error;
  } finally {
    await source.discard();
  }
}
