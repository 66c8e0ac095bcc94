/** The page's end of the worker. The worker is made by the first picture: until then nothing of it is downloaded. */
import { RestoreError, type Activity, type Failure, type Outcome, type Photo, type Settings } from '../state.ts';
import type { DeviceReply, DeviceRequest, DeviceResult } from './messages.ts';

/** Why this browser cannot restore by itself, or null when it can. */
export function deviceObstacle(): string | null {
  // Without a secure context there is neither SHA-256, to check the model, nor WebGPU.
  if (!globalThis.isSecureContext) return 'Needs a secure address (https, or localhost).';
  if (typeof Worker === 'undefined' || typeof OffscreenCanvas === 'undefined' || typeof WebAssembly === 'undefined') {
    return 'This browser is too old for it.';
  }
  return null;
}

export interface DeviceCall {
  readonly signal: AbortSignal;
  readonly onActivity: (activity: Activity) => void;
  readonly forceWebGpu: boolean;
}

export class DeviceRestorer {
  #worker: Worker | null = null;

  /**
   * One picture at a time. Aborting ends the worker: an inference cannot be interrupted, and this gives its memory back.
   * @throws {RestoreError} every failure on the device
   * @throws the signal's reason when it is aborted
   */
  async restore(photo: Photo, settings: Settings, call: DeviceCall): Promise<Outcome> {
    const started = performance.now();
    const { picture, model, engine, notes } = await this.#ask(photo, settings, call);
    const milliseconds = performance.now() - started;
    return { picture, model, placement: 'device', engine, cache: null, milliseconds, link: null, notes };
  }

  /** Ends the worker; its memory, which only ever grows, goes with it. */
  dispose(): void {
    this.#worker?.terminate();
    this.#worker = null;
  }

  #ask(photo: Photo, settings: Settings, { signal, onActivity, forceWebGpu }: DeviceCall): Promise<DeviceResult> {
    const worker = (this.#worker ??= startWorker());
    const listening = new AbortController();
    const answer = new Promise<DeviceResult>((resolve, reject) => {
      const end = (reason: unknown): void => {
        this.dispose();
        reject(reason as Error);
      };
      const own = { signal: listening.signal };
      signal.addEventListener('abort', () => end(signal.reason), own);
      worker.addEventListener('error', () => end(new RestoreError(BROKEN_WORKER)), own);
      worker.addEventListener('messageerror', () => end(new RestoreError(BROKEN_WORKER)), own);
      const listen = ({ data }: MessageEvent<DeviceReply>): void => {
        if (data.kind === 'activity') onActivity(data.activity);
        else if (data.kind === 'restored') resolve(data);
        else reject(new RestoreError(data.failure));
      };
      worker.addEventListener('message', listen, own);
      signal.throwIfAborted();
      const request: DeviceRequest = {
        file: photo.file,
        format: settings.format,
        metadata: settings.metadata,
        forceWebGpu,
      };
      worker.postMessage(request);
    });
    return answer.finally(() => listening.abort());
  }
}

function startWorker(): Worker {
  return new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'deblur' });
}

const BROKEN_WORKER: Failure = {
  title: 'This device could not restore it',
  detail: 'The browser ended the computation; most often there is too little memory. The service can do it instead.',
  code: null,
  requestId: null,
  retryable: true,
};
