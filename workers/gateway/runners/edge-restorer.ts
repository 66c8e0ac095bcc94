/** The edge placement: the second Worker, called by RPC over its service binding. */
import { deadlineExceeded, runnerFailed } from '@deblur/shared/protocol/errors.ts';
import { EDGE_RESTORE_TIMEOUT_MS, HEALTH_TIMEOUT_MS } from '@deblur/shared/limits.ts';
import { MEDIA_TYPES } from '@deblur/shared/protocol/options.ts';
import type { EdgeReply, EdgeRunnerApi, RestoreReport } from '@deblur/shared/protocol/runner-api.ts';
import type { EncodingTask, PartHealth, Restorer, RestorationTask } from './ports.ts';
import type { ResultStore } from '../results/result-store.ts';
import type { ResultMetadata } from '../results/stored-result.ts';
import type { SourceStore } from '../sources/source-store.ts';
import { withTimeout } from '../with-timeout.ts';
import { runnerError } from './runner-schemas.ts';

export class EdgeRestorer implements Restorer {
  readonly #binding: EdgeRunnerApi;
  readonly #sources: SourceStore;
  readonly #results: ResultStore;

  constructor(binding: EdgeRunnerApi, sources: SourceStore, results: ResultStore) {
    this.#binding = binding;
    this.#sources = sources;
    this.#results = results;
  }

  async restore(task: RestorationTask): Promise<RestoreReport> {
    const { model, modelVersion, encoding, restorationKey, resultKey, workingScale } = task;
    const stored = await this.#sources.open(task.sourceKey);
    if (stored === null) throw runnerFailed('source');
    const source = await stored.bytes();
    const request = { source, model, modelVersion, encoding, workingScale };
    const { master, result, report } = await answer(this.#binding.restore(request));
    const metadata: ResultMetadata = { model, modelVersion, placement: 'edge', restoration: task.restoration };
    // The master first: with it a result can always be made again.
    await this.#results.put('master', restorationKey, master, MEDIA_TYPES.png, metadata);
    await this.#results.put('result', resultKey, result, MEDIA_TYPES[encoding.format], metadata);
    return report;
  }

  async encode({ restorationKey, resultKey, encoding, metadata }: EncodingTask): Promise<void> {
    const stored = await this.#results.get('master', restorationKey);
    if (stored?.kind !== 'stored') throw runnerFailed('master');
    const { result } = await answer(this.#binding.encode({ master: await stored.bytes(), encoding }));
    await this.#results.put('result', resultKey, result, MEDIA_TYPES[encoding.format], metadata);
  }

  async health(): Promise<PartHealth> {
    try {
      const late = () => new Error('late');
      const { status } = await withTimeout(this.#binding.health(), HEALTH_TIMEOUT_MS, late);
      return { ready: status === 'READY', status };
    } catch {
      return { ready: false, status: 'UNREACHABLE' };
    }
  }
}

/** @throws {DeblurError} what the runner said, `runner_failed` when the call itself broke, `deadline_exceeded` */
async function answer<T extends object>(call: Promise<EdgeReply<T>>): Promise<T> {
  const broke = call.catch((cause: unknown) => {
    throw runnerFailed('broken', cause);
  });
  const late = () => deadlineExceeded(EDGE_RESTORE_TIMEOUT_MS / 1000);
  const reply = await withTimeout(broke, EDGE_RESTORE_TIMEOUT_MS, late);
  if (!reply.ok) throw runnerError(reply.error.code, reply.error.detail);
  return reply;
}
