/** One model variant, ready to run: a few threads with a session each, and a queue of tiles before them. */
import type { Tile } from '@deblur/shared/ports.ts';
import { DeblurError } from '@deblur/shared/errors.ts';
import { TILES_IN_FLIGHT_PER_WORKER } from './limits.ts';
import type { Log } from './log.ts';
import type { LoadRequest, SessionReply, SessionRequest } from './session-messages.ts';
import { WorkerThread, type ThreadState } from './worker-thread.ts';

export interface RanTile {
  readonly tile: Tile;
  readonly inferMs: number;
}

export interface PoolOptions {
  readonly name: string;
  readonly workers: number;
  readonly load: Omit<LoadRequest, 'kind'>;
  readonly log: Log;
}

interface QueuedTile {
  readonly tile: Tile;
  readonly signal: AbortSignal | undefined;
  resolve(ran: RanTile): void;
  reject(error: unknown): void;
}

export class SessionPool {
  readonly #threads: readonly WorkerThread<SessionRequest, SessionReply>[];
  /** Bounded by its callers: each prediction has a few tiles in flight. */
  readonly #queue: QueuedTile[] = [];

  private constructor(threads: readonly WorkerThread<SessionRequest, SessionReply>[]) {
    this.#threads = threads;
  }

  /**
   * Starts the threads one after the other: the first failure tells enough, and peaks of memory do not add up.
   * @throws {DeblurError} `runner_unavailable` with ONNX Runtime's reason
   */
  static async open({ name, workers, load, log }: PoolOptions): Promise<SessionPool> {
    const threads: WorkerThread<SessionRequest, SessionReply>[] = [];
    const script = new URL('./session-worker.ts', import.meta.url);
    try {
      for (let i = 0; i < workers; i++) {
        const prepare = { kind: 'load', ...load } as const;
        threads.push(await WorkerThread.start({ name: `session ${name} ${i}`, script, prepare, log }));
      }
    } catch (error) {
      await Promise.all(threads.map((thread) => thread.close()));
      throw error;
    }
    return new SessionPool(threads);
  }

  get states(): readonly ThreadState[] {
    return this.#threads.map((thread) => thread.state);
  }

  /**
   * Runs one tile on the least busy thread. The tile's buffer moves to that thread.
   * @throws {DeblurError} `runner_failed`; the signal's reason while the tile still waits
   */
  run(tile: Tile, signal?: AbortSignal): Promise<RanTile> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ tile, signal, resolve, reject });
      this.#dispatch();
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      const running = this.#threads.filter(({ state }) => state === 'running');
      const thread = running.sort((a, b) => a.pending - b.pending)[0];
      if (thread === undefined) return this.#refuseAll();
      if (thread.pending >= TILES_IN_FLIGHT_PER_WORKER) return;
      void this.#runOn(thread, this.#queue.shift()!);
    }
  }

  async #runOn(thread: WorkerThread<SessionRequest, SessionReply>, queued: QueuedTile): Promise<void> {
    const { tile, signal, resolve, reject } = queued;
    try {
      signal?.throwIfAborted();
      const reply = await thread.call({ kind: 'run', tile }, [tile.data.buffer as ArrayBuffer]);
      if (reply.kind !== 'ran') throw new DeblurError('runner_failed', 'A session answered out of turn.');
      resolve(reply);
    } catch (error) {
      reject(error);
    }
    this.#dispatch();
  }

  #refuseAll(): void {
    for (const { reject } of this.#queue.splice(0)) {
      reject(new DeblurError('runner_failed', 'No session of the model is running.'));
    }
  }
}
