/** A prediction's address → its source, kept if it is needed, and the job that it makes. */
import { internalError } from '@deblur/shared/protocol/errors.ts';
import { claimRestoration, megapixelsOf, type ClaimPorts } from '../restorations/claim-restoration.ts';
import type { JobRequest } from '../jobs/ports.ts';
import type { Placement } from '../results/stored-result.ts';
import type { SourceFetcher } from '../sources/source-fetcher.ts';
import type { SourceStore } from '../sources/source-store.ts';
import type { PredictionState } from './prediction-table.ts';

export interface PrepareSourcePorts extends ClaimPorts {
  readonly sources: Pick<SourceStore, 'receive'>;
  /** Asks once: a failure that may pass is retried by the alarm. */
  readonly sourceFetcher: Pick<SourceFetcher, 'fetch'>;
}

export interface PreparedSource {
  readonly job: JobRequest;
  readonly megapixels: number;
  /** Where the result was made that is stored already; null: the source was kept, and the job may be asked. */
  readonly storedPlacement: Placement | null;
}

/**
 * Changes nothing of the prediction, and may be done twice: what it stores is named by its content. The price beyond the one
 * that was paid at the create is charged here; an attempt that dies afterwards is charged again.
 * @throws {DeblurError} what is wrong with the source, `model_unavailable`, `rate_limited`
 * @throws the signal's reason
 */
export async function prepareSource(
  { options, sourceUrl, scope, trace, account }: PredictionState,
  ports: PrepareSourcePorts,
  signal: AbortSignal,
): Promise<PreparedSource> {
  if (sourceUrl === null) throw internalError();
  const source = await ports.sources.receive(await ports.sourceFetcher.fetch(sourceUrl, signal));
  try {
    const payment = { kind: 'rest', account } as const;
    const claimed = await claimRestoration(ports, { scope, source, options, accept: null, trace, payment });
    const prepared = { job: claimed.job, megapixels: megapixelsOf(source) };
    if (claimed.kind === 'wanted') return { ...prepared, storedPlacement: null };
    await claimed.result.body.cancel();
    return { ...prepared, storedPlacement: claimed.result.placement };
  } finally {
    await source.discard();
  }
}
