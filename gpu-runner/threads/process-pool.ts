/**
 * Calls that may have to be broken off in the middle of native code. Each runs in a process of its own, since only a process can
 * be ended there: a thread that is terminated waits for the native step that it started.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { runnerFailed } from '@deblur/shared/protocol/errors.ts';
import { abortable } from './abortable.ts';
import { MessageSocket } from './message-socket.ts';
import { RpcClient } from './rpc.ts';

/** The descriptor at which the process finds its end of the socket. */
export const CALLS_FD = 3;

/** Environment variables that a process of the pool gets: for memory management and finding libraries, and no secret. */
const PASSED_VARIABLES = /^(?:NODE_OPTIONS|MALLOC_\w+|LD_LIBRARY_PATH|LD_PRELOAD|PATH|TMPDIR)$/;

export interface ProcessCallOptions {
  /** Ends the call, and with it the process, at once. */
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** The process ends with this call, so that the memory which it took comes back. */
  readonly last?: boolean;
}

/** The call took longer than it may; its process is gone. */
export class CallTimeoutError extends Error {
  override readonly name = 'CallTimeoutError';
}

interface CalledProcess<Request, Reply> {
  readonly child: ChildProcess;
  readonly client: RpcClient<Request, Reply>;
}

export class ProcessPool<Request, Reply> {
  readonly #script: URL;
  /** Never more than one: a second call at the same time is rare, and an idle process holds about 60 MB. */
  #idle: CalledProcess<Request, Reply> | undefined;

  #isClosed = false;

  /** @param script answers calls by `serveRpc` over the socket CALLS_FD; the first process starts at once */
  constructor(script: URL) {
    this.#script = script;
    this.#idle = this.#start();
  }

  /**
   * @throws the signal's reason, at once; {CallTimeoutError}; what the call throws
   * @throws {DeblurError} `runner_failed` when the process ended by itself
   */
  async call(request: Request, { signal, timeoutMs, last = false }: ProcessCallOptions): Promise<Reply> {
    signal.throwIfAborted();
    const timeout = AbortSignal.timeout(timeoutMs);
    const called = this.#idle ?? this.#start();
    this.#idle = undefined;
    try {
      return await abortable(called.client.call(request), AbortSignal.any([signal, timeout]));
    } catch (error) {
      if (!signal.aborted && error === timeout.reason) throw new CallTimeoutError(`not done in ${timeoutMs} ms`);
      throw error;
    } finally {
      // A call that still waits was given up.
      const isFree = called.client.pending === 0 && called.child.exitCode === null && called.child.signalCode === null;
      if (isFree && !last && !this.#isClosed && this.#idle === undefined) this.#idle = called;
      else called.child.kill('SIGKILL');
      // Its successor is there when it is needed.
      if (!this.#isClosed) this.#idle ??= this.#start();
    }
  }

  /** Ends the process that waits for a call. */
  close(): void {
    this.#isClosed = true;
    this.#idle?.child.kill('SIGKILL');
  }

  #start(): CalledProcess<Request, Reply> {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => PASSED_VARIABLES.test(name)));
    const stdio = ['ignore', 'ignore', 'inherit', 'pipe'] as const;
    const child = spawn(process.execPath, [fileURLToPath(this.#script)], { env, stdio: [...stdio] });
    const socket = child.stdio[CALLS_FD] as Duplex;
    const client = new RpcClient<Request, Reply>(new MessageSocket(socket));
    const called = { child, client };
    const gone = (cause?: Error): void => {
      if (this.#idle === called) this.#idle = undefined;
      client.fail(runnerFailed('worker', cause));
    };
    // The process may be gone before a message to it is written.
    socket.on('error', () => undefined);
    child.on('error', gone);
    child.on('exit', (code, signal) => gone(new Error(`a process of the runner ended with ${signal ?? code}`)));
    return called;
  }
}
