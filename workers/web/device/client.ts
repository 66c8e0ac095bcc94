/** The page's end of the worker. The worker starts with the first photo: until then nothing of it is downloaded. */
import { ownFailure, RestoreError, type Outcome } from '../app/item.ts';
import type { Run } from '../app/work.ts';
import type { DeviceReply, DeviceRequest, DeviceResult } from './messages.ts';

/** Whether this browser can restore by itself. SHA-256 of the network and WebGPU need a secure context. */
export function canRestoreHere(): boolean {
  const needed = [globalThis.Worker, globalThis.OffscreenCanvas, globalThis.WebAssembly];
  return globalThis.isSecureContext && needed.every((part) => part !== undefined);
}

export class DeviceRestorer {
  readonly #forceWebGpu: boolean;
  #worker: Worker | null = null;
  /** The photo before; a second one waits for it, because the network fills every core. */
  #turn: Promise<unknown> = Promise.resolve();

  /** @param forceWebGpu accepts a software adapter, for tests */
  constructor(forceWebGpu: boolean) {
    this.#forceWebGpu = forceWebGpu;
  }

  /**
   * Aborting ends the worker: an inference cannot be interrupted, and this returns its memory.
   * @throws {RestoreError} every failure on the device
   * @throws the signal's reason when it is aborted
   */
  async restore(run: Run): Promise<Outcome> {
    const before = this.#turn;
    const result = before.then(() => this.#restoreNow(run));
    this.#turn = result.catch(() => undefined);
    return result;
  }

  /** Ends the worker; its memory, which only ever grows, goes with it. */
  dispose(): void {
    this.#worker?.terminate();
    this.#worker = null;
  }

  async #restoreNow(run: Run): Promise<Outcome> {
    run.signal.throwIfAborted();
    run.report({ kind: 'progressed', activity: { kind: 'model', done: 0, total: 0 } });
    const started = performance.now();
    const { picture, model, engine, notes, scale, change } = await this.#ask(run);
    const milliseconds = performance.now() - started;
    const made = { picture, model, engine, notes, scale, change };
    return { ...made, placement: 'device', milliseconds, cache: null, link: null, verdict: null };
  }

  #ask({ item, signal, report }: Run): Promise<DeviceResult> {
    const worker = (this.#worker ??= startWorker());
    const listening = new AbortController();
    const answer = new Promise<DeviceResult>((resolve, reject) => {
      const end = (reason: unknown): void => {
        this.dispose();
        reject(reason as Error);
      };
      const own = { signal: listening.signal };
      const broke = (): void => end(new RestoreError(ownFailure('device_failed', true)));
      signal.addEventListener('abort', () => end(signal.reason), own);
      worker.addEventListener('error', broke, own);
      worker.addEventListener('messageerror', broke, own);
      const listen = ({ data }: MessageEvent<DeviceReply>): void => {
        if (data.kind === 'activity') report({ kind: 'progressed', activity: data.activity });
        else if (data.kind === 'restored') resolve(data);
        else reject(new RestoreError(data.failure));
      };
      worker.addEventListener('message', listen, own);
      const { format, metadata } = item.settings;
      const request: DeviceRequest = { file: item.source, format, metadata, forceWebGpu: this.#forceWebGpu };
      worker.postMessage(request);
    });
    return answer.finally(() => listening.abort());
  }
}

function startWorker(): Worker {
  return new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'deblur' });
}
