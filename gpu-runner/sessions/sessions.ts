/**
 * The sessions that are open: on which execution provider, for which models. Those of several models stay open side by
 * side within a budget of memory; beyond it the one that was used longest ago is closed, once no picture uses it. It is
 * closed by ending its threads: opening and closing again levels off (bench runner-memory), while releasing sessions inside
 * a thread that lives on leaks.
 */
import { availableParallelism } from 'node:os';
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import type { ModelManifest, ModelVariant } from '@deblur/shared/protocol/model-manifest.ts';
import { abortable } from '../threads/abortable.ts';
import type { ExecutionProvider, RequestedProvider } from '../config.ts';
import { readGpuUsage } from '../ops/gpu-usage.ts';
import { BATCHES_IN_FLIGHT_PER_WORKER, DEFAULT_BATCH_SIZE, SESSIONS_PASSING_MS } from '../limits.ts';
import type { Log } from '../ops/log.ts';
import type { Metrics } from '../ops/metrics.ts';
import type { ModelFiles } from '../models/model-files.ts';
import { SessionPool } from './session-pool.ts';
import { variantFor } from '../models/variants.ts';
import type { ThreadState } from '../threads/worker-thread.ts';

export interface SessionsOptions {
  readonly requested: RequestedProvider;
  readonly workers: number;
  readonly intraOpThreads: number;
  /** Tiles in one run; undefined: what suits the provider. */
  readonly batchSize: number | undefined;
  readonly batchDelayMs: number;
  /** What the open sessions may take, of the GPU's memory where one runs them; undefined: everything. */
  readonly memoryBytes: number | undefined;
  /** How long pictures whose sessions are open may pass one that waits for room; set in tests. */
  readonly passingMs?: number;
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
export interface SessionLease {
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
  #last: Promise<unknown> = Promise.resolve();
  #released = Promise.withResolvers<undefined>();
  /** Since when a picture waits for others to leave the sessions that its own have no room beside. */
  #passedSince: number | undefined;
  /** What those that were open once took, by the same names. */
  readonly #knownBytes = new Map<string, number>();

  private constructor(files: ModelFiles, options: SessionsOptions, provider: ProviderChoice) {
    this.#files = files;
    this.#options = options;
    this.provider = provider;
  }

  /**
   * Chooses the execution provider. `auto` tries CUDA with the best model and says why it runs on the CPU instead; `cuda` and
   * `tensorrt` never fall back. Sessions open when they are first asked for.
   */
  static async open(files: ModelFiles, options: SessionsOptions): Promise<Sessions> {
    if (options.requested === 'auto') return Sessions.#openOnBest(files, options);
    return new Sessions(files, options, choose(options.requested, 'EXECUTION_PROVIDER says so'));
  }

  static async #openOnBest(files: ModelFiles, options: SessionsOptions): Promise<Sessions> {
    const auto = (used: ExecutionProvider, reason: string): ProviderChoice => ({ requested: 'auto', used, reason });
    const onCuda = new Sessions(files, options, auto('cuda', 'the CUDA provider loaded'));
    try {
      (await onCuda.acquire(files.offered()[0]!, 'uint8')).release();
      return onCuda;
    } catch (error) {
      const detail = error instanceof DeblurError ? error.detail : 'the CUDA provider failed';
      return new Sessions(files, options, auto('cpu', detail));
    }
  }

  /**
   * At once where the sessions are open: such a picture does not wait with one that needs others opened, and room made for
   * them, until that one has been passed for too long.
   * @param samples what the tiles have
   * @throws {DeblurError} `runner_unavailable` when the sessions cannot be created
   * @throws the signal's reason, however far the opening is
   */
  async acquire(model: ModelManifest, samples: 'uint8' | 'float32', signal?: AbortSignal): Promise<SessionLease> {
    const variant = variantFor(model, samples, this.provider.used);
    const name = `${model.name}.${variant.id}`;
    const open = this.#open.get(name);
    if (open !== undefined && !this.#isPassedTooLong()) return this.#lease(name, open);
    const turn = this.#inTurn(async () => {
      signal?.throwIfAborted();
      const lease = this.#lease(name, this.#open.get(name) ?? (await this.#openPool(name, model, variant, signal)));
      await this.#closeIdleBeyondBudget();
      return lease;
    });
    return abortable(turn, signal, (late) => late.release());
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

  /** Processors that the sessions of one model keep busy. */
  get cores(): number {
    return Math.min(availableParallelism(), this.workers * this.#options.intraOpThreads);
  }

  /** Whether another model may take as much as those that are open did: for all that is known of it. */
  get hasRoomForAnother(): boolean {
    return 2 * this.#usedBytes() <= this.budget;
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

  /** Pools open and close one after the other: two at once would each count the other's memory. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  #lease(name: string, open: OpenPool): SessionLease {
    this.#open.delete(name);
    this.#open.set(name, open);
    open.leases++;
    let held = true;
    const release = (): void => {
      if (!held) return;
      held = false;
      open.leases--;
      this.#released.resolve(undefined);
      if (this.#usedBytes() > this.budget) void this.#inTurn(() => this.#closeIdleBeyondBudget());
    };
    return { pool: open.pool, release };
  }

  async #openPool(
    name: string,
    model: ModelManifest,
    variant: ModelVariant,
    signal: AbortSignal | undefined,
  ): Promise<OpenPool> {
    await this.#makeRoom(this.#knownBytes.get(name) ?? variant.bytes * this.workers, signal);
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
    const open = { pool, bytes, leases: 0 };
    this.#knownBytes.set(name, bytes);
    this.#open.set(name, open);
    return open;
  }

  /** Before sessions are opened, as far as can be known: the first time only the size of their weights is. */
  async #makeRoom(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    try {
      while (this.#open.size > 0 && this.#usedBytes() + bytes > this.budget) {
        this.#released = Promise.withResolvers();
        if (await this.#closeIdle()) continue;
        this.#passedSince ??= performance.now();
        await abortable(this.#released.promise, signal);
      }
    } finally {
      this.#passedSince = undefined;
    }
  }

  /** Those that are in use stay, whatever their size: without them nothing could be done. */
  async #closeIdleBeyondBudget(): Promise<void> {
    while (this.#open.size > 1 && this.#usedBytes() > this.budget && (await this.#closeIdle()));
  }

  /** @returns false when pictures use all that are open */
  async #closeIdle(): Promise<boolean> {
    const idle = [...this.#open].find(([, { leases }]) => leases === 0);
    if (idle === undefined) return false;
    const [name, { pool }] = idle;
    this.#open.delete(name);
    await pool.close();
    this.#options.log.info('sessions_closed', { sessions: name, reason: 'MODEL_MEMORY_MB' });
    return true;
  }

  #isPassedTooLong(): boolean {
    const { passingMs = SESSIONS_PASSING_MS } = this.#options;
    return this.#passedSince !== undefined && performance.now() - this.#passedSince > passingMs;
  }

  /** Bytes that the sessions of all models may take. */
  get budget(): number {
    return this.#options.memoryBytes ?? Infinity;
  }

  #usedBytes(): number {
    return [...this.#open.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  async #memoryInUse(): Promise<number> {
    if (this.provider.used === 'cpu') return process.memoryUsage.rss();
    return (await readGpuUsage()).reduce((sum, { usedBytes }) => sum + usedBytes, 0);
  }
}

function choose(requested: ExecutionProvider, reason: string): ProviderChoice {
  return { requested, used: requested, reason };
}
