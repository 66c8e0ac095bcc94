/** Every session of the runner: on which execution provider, for which models, opened once and kept for life. */
import { DeblurError } from '@deblur/shared/errors.ts';
import { variantOf, type ModelManifest, type VariantId } from '@deblur/shared/model-manifest.ts';
import type { RequestedProvider } from './config.ts';
import { TILES_IN_FLIGHT_PER_WORKER } from './limits.ts';
import type { Log } from './log.ts';
import type { ModelFiles } from './model-files.ts';
import type { ExecutionProvider } from './session-messages.ts';
import { SessionPool } from './session-pool.ts';
import type { ThreadState } from './worker-thread.ts';

export interface SessionsOptions {
  readonly requested: RequestedProvider;
  readonly workers: number;
  readonly intraOpThreads: number;
  readonly log: Log;
}

/** What runs, and why it is that. */
export interface ProviderChoice {
  readonly requested: RequestedProvider;
  readonly used: ExecutionProvider;
  readonly reason: string;
}

export class Sessions {
  readonly provider: ProviderChoice;
  readonly #options: SessionsOptions;
  readonly #files: ModelFiles;
  /** Promises, so that two first requests open one pool; a failed one is evicted, so that the next may try again. */
  readonly #pools = new Map<string, Promise<SessionPool>>();
  readonly #opened: SessionPool[] = [];

  private constructor(files: ModelFiles, options: SessionsOptions, provider: ProviderChoice) {
    this.#files = files;
    this.#options = options;
    this.provider = provider;
  }

  /**
   * Opens the `uint8` sessions of all offered models; `float32` ones, for 16-bit pictures, open at their first use.
   * `auto` tries CUDA with the first model and says why it runs on the CPU instead; `cuda` never falls back.
   * @throws {DeblurError} `runner_unavailable` with the reason
   */
  static async open(files: ModelFiles, options: SessionsOptions): Promise<Sessions> {
    const sessions =
      options.requested === 'auto'
        ? await Sessions.#openOnBest(files, options)
        : new Sessions(files, options, choose(options.requested, 'EXECUTION_PROVIDER says so'));
    try {
      for (const model of files.offered()) await sessions.pool(model, 'uint8');
    } catch (error) {
      await sessions.close();
      throw error;
    }
    return sessions;
  }

  static async #openOnBest(files: ModelFiles, options: SessionsOptions): Promise<Sessions> {
    const auto = (used: ExecutionProvider, reason: string): ProviderChoice => ({ requested: 'auto', used, reason });
    const onCuda = new Sessions(files, options, auto('cuda', 'the CUDA provider loaded'));
    try {
      await onCuda.pool(files.offered()[0]!, 'uint8');
      return onCuda;
    } catch (error) {
      const detail = error instanceof DeblurError ? error.detail : 'the CUDA provider failed';
      return new Sessions(files, options, auto('cpu', detail));
    }
  }

  /** @throws {DeblurError} `runner_unavailable` when the sessions cannot be created */
  pool(model: ModelManifest, variant: VariantId): Promise<SessionPool> {
    const name = `${model.name}.${variant}`;
    const known = this.#pools.get(name);
    if (known !== undefined) return known;
    const opening = this.#openPool(name, model, variant);
    this.#pools.set(name, opening);
    opening.catch(() => this.#pools.delete(name));
    return opening;
  }

  /** How many tiles of one picture keep every session busy. */
  get tilesInFlight(): number {
    return TILES_IN_FLIGHT_PER_WORKER * this.workers;
  }

  get states(): readonly ThreadState[] {
    return this.#opened.flatMap((pool) => pool.states);
  }

  async close(): Promise<void> {
    await Promise.all(this.#opened.map((pool) => pool.close()));
  }

  /** Threads with a session of each variant. A GPU is one queue: a second session would only take its memory. */
  get workers(): number {
    return this.provider.used === 'cuda' ? 1 : this.#options.workers;
  }

  async #openPool(name: string, model: ModelManifest, variant: VariantId): Promise<SessionPool> {
    const { intraOpThreads, log } = this.#options;
    const load = {
      path: this.#files.path(model, variant),
      variant: variantOf(model, variant),
      provider: this.provider.used,
      intraOpThreads,
      warmUpSize: model.tile.size,
    };
    const pool = await SessionPool.open({ name, workers: this.workers, load, log });
    this.#opened.push(pool);
    return pool;
  }
}

function choose(requested: ExecutionProvider, reason: string): ProviderChoice {
  return { requested, used: requested, reason };
}
