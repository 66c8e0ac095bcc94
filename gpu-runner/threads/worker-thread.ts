/** A thread of our own that is called over rpc.ts and started again when it dies. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { Transferable } from 'node:worker_threads';
import { runnerFailed } from '@deblur/shared/protocol/errors.ts';
import {
  THREAD_CLOSE_WAIT_MS,
  THREAD_MAX_RESTARTS,
  THREAD_RESTART_DELAY_MS,
  THREAD_YOUNG_GENERATION_MB,
} from '../limits.ts';
import type { Log } from '../ops/log.ts';
import { RpcClient } from './rpc.ts';

/** `restarting`: it died and comes back; `dead`: it died too often, or could not be prepared again. */
export type ThreadState = 'running' | 'restarting' | 'dead' | 'closed';

export interface ThreadOptions<Request> {
  readonly name: string;
  readonly script: URL;
  /** The first call of every life, such as loading a model; the thread takes no other before it succeeded. */
  readonly prepare?: Request;
  readonly log: Log;
  /** Called each time it died and is back. */
  readonly onRestart?: () => void;
}

export class WorkerThread<Request, Reply> {
  readonly #options: ThreadOptions<Request>;
  #worker: Worker | undefined;
  #client: RpcClient<Request, Reply> | undefined;
  #state: ThreadState = 'restarting';
  /** Ends of its own, and starts that failed. */
  #deaths = 0;
  #isReplaced = false;

  private constructor(options: ThreadOptions<Request>) {
    this.#options = options;
  }

  /** @throws what the preparation throws; `runner_failed` when the script does not come up */
  static async start<Request, Reply>(options: ThreadOptions<Request>): Promise<WorkerThread<Request, Reply>> {
    const thread = new WorkerThread<Request, Reply>(options);
    try {
      await thread.#launch();
    } catch (error) {
      await thread.close();
      throw error;
    }
    return thread;
  }

  get state(): ThreadState {
    return this.#state;
  }

  /** Calls that wait for their reply. */
  get pending(): number {
    return this.#client?.pending ?? 0;
  }

  /** @throws {DeblurError} `runner_failed` when the thread is not there or dies meanwhile; what the call throws */
  async call(request: Request, transfer?: readonly Transferable[], signal?: AbortSignal): Promise<Reply> {
    const client = this.#client;
    if (client === undefined || this.#state !== 'running') throw runnerFailed('worker');
    return client.call(request, transfer, signal);
  }

  /** Ends a thread that is stuck and starts another: its calls fail. Unlike a death of its own it may happen any number of times. */
  replace(reason: string): void {
    if (this.#state !== 'running' || this.#isReplaced) return;
    this.#isReplaced = true;
    this.#options.log.error('thread_replaced', reason, { thread: this.#options.name });
    void this.#worker?.terminate();
  }

  /** Takes no more calls, lets those in progress end for a while, and ends the thread. */
  async close(): Promise<void> {
    this.#state = 'closed';
    // A thread that is ended inside native code can take the process with it.
    await Promise.race([this.#client?.settled(), sleep(THREAD_CLOSE_WAIT_MS, undefined, { ref: false })]);
    await this.#worker?.terminate();
  }

  async #launch(): Promise<void> {
    const worker = new Worker(this.#options.script, {
      name: this.#options.name,
      resourceLimits: { maxYoungGenerationSizeMb: THREAD_YOUNG_GENERATION_MB },
    });
    const client = new RpcClient<Request, Reply>(worker);
    this.#worker = worker;
    this.#client = client;
    worker.on('error', (error) => this.#options.log.error('thread_error', error, { thread: this.#options.name }));
    worker.on('exit', () => {
      client.fail(runnerFailed('worker'));
      if (!this.#isReplaced) this.#deaths++;
      this.#isReplaced = false;
      if (this.#state === 'running') void this.#relaunch();
    });
    await client.serving;
    if (this.#options.prepare !== undefined) await client.call(this.#options.prepare);
    // It may have been closed while it prepared itself.
    if (this.#state === 'closed') await worker.terminate();
    else this.#state = 'running';
  }

  async #relaunch(): Promise<void> {
    this.#state = 'restarting';
    while (this.#deaths <= THREAD_MAX_RESTARTS) {
      await sleep(THREAD_RESTART_DELAY_MS);
      if (this.#isClosed()) return;
      try {
        await this.#launch();
        this.#options.onRestart?.();
        this.#options.log.info('thread_restarted', { thread: this.#options.name, deaths: this.#deaths });
        return;
      } catch (error) {
        this.#deaths++;
        this.#options.log.error('thread_restart_failed', error, { thread: this.#options.name });
        await this.#worker?.terminate();
      }
    }
    if (!this.#isClosed()) this.#state = 'dead';
  }

  /** A method, because the compiler does not see that the state changes across an await. */
  #isClosed(): boolean {
    return this.#state === 'closed';
  }
}
