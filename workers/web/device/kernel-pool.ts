/**
 * DHNet's own kernels in the browser, one tile to a worker. Tiles beside each other need no shared memory, so this works in
 * pages that are not cross-origin isolated, too.
 */
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import type { Tile, TileSession } from '@deblur/shared/pixels/ports.ts';
import plainUrl from '@deblur/shared/kernels/wasm/plain.wasm?url';
import relaxedUrl from '@deblur/shared/kernels/wasm/relaxed.wasm?url';

/** More workers than this heat a telephone. */
const MAX_WORKERS = 4;

/** Some kilobytes on a slow telephone line. */
const FETCH_TIMEOUT_MS = 20_000;

export type KernelRequest =
  | { readonly kind: 'start'; readonly id: number; readonly module: WebAssembly.Module; readonly weights: Uint8Array }
  | { readonly kind: 'tile'; readonly id: number; readonly tile: Tile<Uint8Array<ArrayBuffer>> };

export type KernelReply =
  { readonly id: number; readonly tile: Tile<Uint8Array> | null } | { readonly id: number; readonly failure: string };

interface Pending {
  readonly resolve: (tile: Tile<Uint8Array> | null) => void;
  readonly reject: (error: DeblurError) => void;
}

export function kernelWorkers(): number {
  return Math.min(MAX_WORKERS, navigator.hardwareConcurrency || 1);
}

export class KernelPool implements TileSession {
  readonly #workers: readonly KernelWorker[];
  #next = 0;

  private constructor(workers: readonly KernelWorker[]) {
    this.#workers = workers;
  }

  /** @throws {DeblurError} `runner_failed` when this browser cannot run the kernels */
  static async create(weights: Uint8Array): Promise<KernelPool> {
    const module = await compileKernels();
    const pool = new KernelPool(Array.from({ length: kernelWorkers() }, () => new KernelWorker()));
    try {
      await Promise.all(pool.#workers.map((worker) => worker.start(module, weights)));
      return pool;
    } catch (error) {
      pool.release();
      throw error;
    }
  }

  /** Tiles that may be in flight at once. */
  get concurrency(): number {
    return this.#workers.length;
  }

  async run<Samples extends Uint8Array | Float32Array>({ width, height, data }: Tile<Samples>): Promise<Tile<Samples>> {
    if (!(data instanceof Uint8Array)) throw new DeblurError('runner_failed', 'The kernels restore 8-bit tiles only.');
    const worker = this.#workers[this.#next++ % this.#workers.length]!;
    const restored = await worker.restore({ width, height, data: data as Uint8Array<ArrayBuffer> });
    // Samples is Uint8Array here, which the compiler does not follow from `data`.
    return restored as Tile<Samples>;
  }

  /** Ends the workers; their memory goes with them. */
  release(): void {
    for (const worker of this.#workers) worker.end();
  }
}

class KernelWorker {
  readonly #worker = new Worker(new URL('./kernel-worker.ts', import.meta.url), { type: 'module', name: 'kernels' });
  readonly #pending = new Map<number, Pending>();
  #id = 0;

  constructor() {
    this.#worker.addEventListener('message', ({ data }: MessageEvent<KernelReply>) => this.#receive(data));
    const fail = (): void => this.#failAll('The browser ended the computation; most often there is too little memory.');
    this.#worker.addEventListener('error', fail);
    this.#worker.addEventListener('messageerror', fail);
  }

  async start(module: WebAssembly.Module, weights: Uint8Array): Promise<void> {
    await this.#ask((id) => ({ kind: 'start', id, module, weights }), []);
  }

  async restore(tile: Tile<Uint8Array<ArrayBuffer>>): Promise<Tile<Uint8Array>> {
    const restored = await this.#ask((id) => ({ kind: 'tile', id, tile }), [tile.data.buffer]);
    if (restored === null) throw new DeblurError('runner_failed', 'The network gave no usable result on this device.');
    return restored;
  }

  end(): void {
    this.#worker.terminate();
    this.#failAll('The network was ended.');
  }

  #ask(request: (id: number) => KernelRequest, transfer: Transferable[]): Promise<Tile<Uint8Array> | null> {
    const id = this.#id++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#worker.postMessage(request(id), transfer);
    });
  }

  #receive(reply: KernelReply): void {
    const pending = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if ('tile' in reply) pending?.resolve(reply.tile);
    else
      pending?.reject(
        new DeblurError('runner_failed', 'The network stopped on this device.', { cause: reply.failure }),
      );
  }

  #failAll(detail: string): void {
    for (const { reject } of this.#pending.values()) reject(new DeblurError('runner_failed', detail));
    this.#pending.clear();
  }
}

/** Relaxed SIMD where the browser has it. */
async function compileKernels(): Promise<WebAssembly.Module> {
  try {
    for (const url of [relaxedUrl, plainUrl]) {
      const response = await fetch(url, { signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) });
      if (!response.ok) throw new Error(`status ${response.status}`);
      const wasm = await response.arrayBuffer();
      if (WebAssembly.validate(wasm)) return await WebAssembly.compile(wasm);
    }
  } catch (cause) {
    throw new DeblurError('source_fetch_failed', 'The kernels could not be fetched.', { cause });
  }
  throw new DeblurError('runner_failed', 'This browser is too old for it: it lacks WebAssembly SIMD.');
}
