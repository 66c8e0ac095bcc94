/**
 * The sessions that are open: on which execution provider, for which models. Those of several models stay open side by
 * side within a budget of memory; beyond it the one that was used longest ago is closed. It is closed by ending its
 * threads: opening and closing again levels off (bench runner-memory), while releasing sessions inside a thread that lives
 * on leaks.
 */
import { DeblurError } from '@deblur/shared/errors.ts';
import type { ModelManifest, ModelVariant } from '@deblur/shared/model-manifest.ts';
import type { RequestedProvider } from './config.ts';
import { readGpuUsage } from './gpu-usage.ts';
import { BATCHES_IN_FLIGHT_PER_WORKER, DEFAULT_BATCH_SIZE } from './limits.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { ModelFiles } from './model-files.ts';
import type { ExecutionProvider } from './session-messages.ts';
import { SessionPool } from './session-pool.ts';
import type { ThreadState } from './worker-thread.ts';

export interface SessionsOptions {
  readonly requested: RequestedProvider;
  readonly workers: number;
  readonly intraOpThreads: number;
  /** Tiles in one run; undefined: what suits the provider. */
  readonly batchSize: number | undefined;
  readonly batchDelayMs: number;
  /** What the open sessions may take, of the GPU's memory where one runs them; undefined: everything. */
  readonly memoryBytes: number | undefined;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** What runs, and why it is that. */
export interface ProviderChoice {
  readonly requested: RequestedProvider;
  readonly used: ExecutionProvider;
  readonly reason: string;
}

/** One variant's sessions, held open by one picture until it is released. */
export interface Lease {
  readonly pool: SessionPool;
  release(): void;
}

interface OpenPool {
  readonly pool: SessionPool;
  /** By which the memory in use grew. */
  readonly bytes: number;
  leases: number;
}

export class Sessions {
  readonly provider: ProviderChoice;
  readonly #options: SessionsOptions;
  readonly #files: ModelFiles;
  /** By `model.variant`, in order of last use. */
  readonly #open = new Map<string, OpenPool>();
  /** Pools open and close one after the other: two at once would each count the other's memory. */
  #last: Promise<unknown> = Promise.resolve();
  #released = Promise.withResolvers<undefined>();

  private constructor(files: ModelFiles, options: SessionsOptions, provider: ProviderChoice) {
    this.#files = files;
    this.#options = options;
    this.provider = provider;
  }

  /**
   * Opens the `uint8` sessions of the best model, and of the others as far as memory goes; `float32` ones, for 16-bit
   * pictures, open at their first use. `auto` tries CUDA with the best model and says why it runs on the CPU instead;
   * `cuda` and `tensorrt` never fall back.
   * @throws {DeblurError} `runner_unavailable` with the reason
   */
  static async open(files: ModelFiles, options: SessionsOptions): Promise<Sessions> {
    const sessions =
      options.requested === 'auto'
        ? await Sessions.#openOnBest(files, options)
        : new Sessions(files, options, choose(options.requested, 'EXECUTION_PROVIDER says so'));
    try {
      await sessions.#warmUp();
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
      await onCuda.#touch(files.offered()[0]!);
      return onCuda;
    } catch (error) {
      const detail = error instanceof DeblurError ? error.detail : 'the CUDA provider failed';
      return new Sessions(files, options, auto('cpu', detail));
    }
  }

  /**
   * @param samples what the tiles have
   * @throws {DeblurError} `runner_unavailable` when the sessions cannot be created
   */
  acquire(model: ModelManifest, samples: 'uint8' | 'float32'): Promise<Lease> {
    const variant = variantFor(model, samples, this.provider.used);
    const acquired = this.#last.then(() => this.#lease(model, variant));
    this.#last = acquired.catch(() => undefined);
    return acquired;
  }

  /** Tiles of one picture that keep every session busy. */
  tilesInFlight(model: ModelManifest): number {
    return BATCHES_IN_FLIGHT_PER_WORKER * this.workers * this.batchSize(model);
  }

  /** Tiles in one run: a power of two, and no more than the graph takes. */
  batchSize({ max_batch: most }: ModelManifest): number {
    const wanted = this.#options.batchSize ?? DEFAULT_BATCH_SIZE[this.provider.used];
    return 2 ** Math.floor(Math.log2(Math.min(wanted, most ?? wanted)));
  }

  get states(): readonly ThreadState[] {
    return [...this.#open.values()].flatMap(({ pool }) => pool.states);
  }

  get tilesWaiting(): number {
    return [...this.#open.values()].reduce((sum, { pool }) => sum + pool.waiting, 0);
  }

  /** By `model.variant`. */
  get bytes(): ReadonlyMap<string, number> {
    return new Map([...this.#open].map(([name, { bytes }]) => [name, bytes]));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.values()].map(({ pool }) => pool.close()));
    this.#open.clear();
  }

  /** Threads with a session of each variant. A GPU is one queue: a second session would only take its memory. */
  get workers(): number {
    return this.provider.used === 'cpu' ? this.#options.workers : 1;
  }

  async #warmUp(): Promise<void> {
    const [best, ...others] = this.#files.offered();
    if (best === undefined) return;
    await this.#touch(best);
    const { memoryBytes = Infinity } = this.#options;
    // The others may take as much as the best one did, for all that is known of them.
    for (const model of others) if (2 * this.#usedBytes() <= memoryBytes) await this.#touch(model);
    await this.#touch(best);
  }

  async #touch(model: ModelManifest): Promise<void> {
    (await this.acquire(model, 'uint8')).release();
  }

  async #lease(model: ModelManifest, variant: ModelVariant): Promise<Lease> {
    const name = `${model.name}.${variant.id}`;
    const open = this.#open.get(name) ?? (await this.#openPool(name, model, variant));
    this.#open.delete(name);
    this.#open.set(name, open);
    open.leases++;
    let held = true;
    const release = (): void => {
      if (!held) return;
      held = false;
      open.leases--;
      this.#released.resolve(undefined);
    };
    try {
      await this.#evictBeyondBudget();
    } catch (error) {
      release();
      throw error;
    }
    return { pool: open.pool, release };
  }

  async #openPool(name: string, model: ModelManifest, variant: ModelVariant): Promise<OpenPool> {
    const { intraOpThreads, batchDelayMs: delayMs, log, metrics } = this.#options;
    const size = this.batchSize(model);
    const batches = Array.from({ length: Math.log2(size) + 1 }, (_, i) => 2 ** i);
    const load = {
      path: this.#files.path(variant),
      variant,
      provider: this.provider.used,
      intraOpThreads,
      warmUp: { side: model.tile.size, batches },
    };
    const observer = {
      ran: (tiles: number) => metrics.ran(model.name, tiles),
      threadRestarted: () => metrics.threadRestarted(),
    };
    const before = await this.#memoryInUse();
    const pool = await SessionPool.open({
      name,
      workers: this.workers,
      batching: { size, delayMs },
      load,
      observer,
      log,
    });
    const bytes = Math.max(variant.bytes * this.workers, (await this.#memoryInUse()) - before);
    log.info('sessions_opened', { sessions: name, workers: this.workers, batches, megabytes: Math.round(bytes / 1e6) });
    return { pool, bytes, leases: 0 };
  }

  /** What was just leased stays, whatever its size: without it nothing could be done. */
  async #evictBeyondBudget(): Promise<void> {
    const { memoryBytes = Infinity, log } = this.#options;
    while (this.#open.size > 1 && this.#usedBytes() > memoryBytes) {
      const idle = [...this.#open].find(([, { leases }]) => leases === 0);
      if (idle === undefined) {
        this.#released = Promise.withResolvers();
        await this.#released.promise;
        continue;
      }
      const [name, { pool }] = idle;
      this.#open.delete(name);
      await pool.close();
      log.info('sessions_closed', { sessions: name, reason: 'MODEL_MEMORY_MB' });
    }
  }

  #usedBytes(): number {
    return [...this.#open.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  async #memoryInUse(): Promise<number> {
    if (this.provider.used === 'cpu') return process.memoryUsage.rss();
    return (await readGpuUsage()).reduce((sum, { usedBytes }) => sum + usedBytes, 0);
  }
}

/** @throws {DeblurError} `runner_unavailable` when the model has nothing for this provider */
export function variantFor(
  model: ModelManifest,
  samples: 'uint8' | 'float32',
  provider: ExecutionProvider,
): ModelVariant {
  const variant = bestVariant(model, samples, provider);
  if (variant !== undefined) return variant;
  throw new DeblurError('runner_unavailable', `${model.name} has no variant that takes ${samples} on ${provider}.`);
}

/** What a runner that was asked for this provider may come to run; with `auto`, on the CPU too. */
export function usableVariants(model: ModelManifest, requested: RequestedProvider): readonly ModelVariant[] {
  const providers = requested === 'auto' ? (['cuda', 'cpu'] as const) : [requested];
  const variants = providers.flatMap((provider) =>
    (['uint8', 'float32'] as const).map((samples) => bestVariant(model, samples, provider)),
  );
  return [...new Set(variants)].filter((variant) => variant !== undefined);
}

/** On a GPU the graph that computes in float16, where the model has one; never on a CPU, which would only cast. */
function bestVariant(
  { variants }: ModelManifest,
  samples: 'uint8' | 'float32',
  provider: ExecutionProvider,
): ModelVariant | undefined {
  const named = (wanted: ModelVariant['id']): ModelVariant | undefined => variants.find(({ id }) => id === wanted);
  return (provider === 'cpu' ? undefined : named(`${samples}-float16`)) ?? named(samples);
}

function choose(requested: ExecutionProvider, reason: string): ProviderChoice {
  return { requested, used: requested, reason };
}
