/** One model variant, ready to run: a few threads with a session each, and a queue of tiles before them. */
import { runnerFailed } from '@deblur/shared/protocol/errors.ts';
import { openTileClaim, revoke, type TileClaim } from './tile-claim.ts';
import { BATCHES_IN_FLIGHT_PER_WORKER } from '../limits.ts';
import type { Log } from '../ops/log.ts';
import type { LoadRequest, SessionReply, SessionRequest } from './session-messages.ts';
import type { SharedTile } from './shared-tile.ts';
import { TileQueue, type QueuedTile } from './tile-queue.ts';
import { WorkerThread, type ThreadState } from '../threads/worker-thread.ts';

export interface RanTile {
  /** Its share of the time inside the session's run. */
  readonly inferMs: number;
  /** From its arrival to its end, without its run. */
  readonly queueMs: number;
}

export interface Batching {
  /** Tiles in one run, at most. */
  readonly size: number;
  /** How long a tile may wait for others to fill a batch. */
  readonly delayMs: number;
}

export interface PoolObserver {
  ran(tiles: number): void;
  threadRestarted(): void;
}

export interface PoolOptions {
  readonly name: string;
  readonly workers: number;
  readonly batching: Batching;
  readonly load: Omit<LoadRequest, 'kind'>;
  readonly observer: PoolObserver;
  readonly log: Log;
}

type SessionThread = WorkerThread<SessionRequest, SessionReply>;

interface WaitingTile extends QueuedTile {
  readonly tile: SharedTile;
  readonly since: number;
  readonly signal: AbortSignal | undefined;
  /** Of the batch that it was last handed out with. */
  claim: TileClaim | undefined;
  resolve(ran: RanTile): void;
  reject(error: unknown): void;
}

export class SessionPool {
  readonly #threads: readonly SessionThread[];
  readonly #batching: Batching;
  readonly #observer: PoolObserver;
  /** Bounded by its callers: each prediction has a few tiles in flight. */
  readonly #queue = new TileQueue<WaitingTile>();
  #timer: NodeJS.Timeout | undefined;

  private constructor(threads: readonly SessionThread[], { batching, observer }: PoolOptions) {
    this.#threads = threads;
    this.#batching = batching;
    this.#observer = observer;
  }

  /**
   * Starts the threads one after the other: the first failure tells enough, and peaks of memory do not add up.
   * @throws {DeblurError} `runner_unavailable` with ONNX Runtime's reason
   */
  static async open(options: PoolOptions): Promise<SessionPool> {
    const { name, workers, load, log, observer } = options;
    const threads: SessionThread[] = [];
    const script = new URL('./session-worker.ts', import.meta.url);
    const onRestart = (): void => observer.threadRestarted();
    try {
      for (let i = 0; i < workers; i++) {
        const prepare = { kind: 'load', ...load } as const;
        threads.push(await WorkerThread.start({ name: `session ${name} ${i}`, script, prepare, log, onRestart }));
      }
    } catch (error) {
      await Promise.all(threads.map((thread) => thread.close()));
      throw error;
    }
    return new SessionPool(threads, options);
  }

  get states(): readonly ThreadState[] {
    return this.#threads.map((thread) => thread.state);
  }

  get waiting(): number {
    return this.#queue.size;
  }

  /**
   * Runs one tile on the least busy thread, in a batch with others that wait: its samples are replaced. When this ends, well
   * or not, no thread has to do with them any more.
   * @param client whose tile it is: clients take turns
   * @throws {DeblurError} `runner_failed`
   * @throws the signal's reason, at once, unless the tile runs already: an aborted tile never starts
   */
  run(tile: SharedTile, client: object, signal?: AbortSignal): Promise<RanTile> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason as Error);
      const leave = (): void => {
        const { claim } = waiting;
        if (this.#queue.remove(waiting) || (claim !== undefined && revoke(claim))) reject(signal?.reason);
      };
      const settled =
        <T>(settle: (value: T) => void) =>
        (value: T): void => {
          signal?.removeEventListener('abort', leave);
          settle(value);
        };
      const waiting: WaitingTile = {
        tile,
        client,
        since: performance.now(),
        signal,
        claim: undefined,
        resolve: settled(resolve),
        reject: settled(reject),
      };
      signal?.addEventListener('abort', leave, { once: true });
      this.#queue.push(waiting);
      this.#dispatch();
    });
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#refuseAll();
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }

  #dispatch(): void {
    clearTimeout(this.#timer);
    while (this.#queue.size > 0) {
      const running = this.#threads.filter(({ state }) => state === 'running');
      const thread = running.sort((a, b) => a.pending - b.pending)[0];
      if (thread === undefined) return this.#refuseAll();
      if (thread.pending >= BATCHES_IN_FLIGHT_PER_WORKER) return;
      const waitMs = this.#patience();
      if (waitMs > 0) return void (this.#timer = setTimeout(() => this.#dispatch(), waitMs));
      void this.#runOn(thread, this.#queue.takeBatch(this.#batching.size));
    }
  }

  /** @returns how long it is worth waiting for more tiles before the next run */
  #patience(): number {
    const { size, delayMs } = this.#batching;
    if (this.#queue.size >= size) return 0;
    const oldest = Math.min(...this.#queue.all().map(({ since }) => since));
    return oldest + delayMs - performance.now();
  }

  async #runOn(thread: SessionThread, batch: readonly WaitingTile[]): Promise<void> {
    try {
      const claim = openTileClaim();
      for (const waiting of batch) waiting.claim = claim;
      const reply = await thread.call({ kind: 'run', tiles: batch.map(({ tile }) => tile), claim });
      if (reply.kind === 'loaded') throw runnerFailed('worker');
      if (reply.kind === 'ran') this.#share(batch, reply.inferMs);
      else this.#takeBack(batch);
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
    this.#dispatch();
  }

  #share(batch: readonly WaitingTile[], inferMs: number): void {
    this.#observer.ran(batch.length);
    const now = performance.now();
    for (const { since, resolve } of batch) {
      resolve({ inferMs: inferMs / batch.length, queueMs: Math.max(0, now - since - inferMs) });
    }
  }

  /** One picture of the batch was cancelled while it lay at a thread's door; the tiles of the others wait again. */
  #takeBack(batch: readonly WaitingTile[]): void {
    for (const { signal, reject } of batch) if (signal?.aborted === true) reject(signal.reason);
    this.#queue.putBack(batch.filter(({ signal }) => signal?.aborted !== true));
  }

  #refuseAll(): void {
    for (const { reject } of this.#queue.drain()) {
      reject(runnerFailed('worker'));
    }
  }
}
