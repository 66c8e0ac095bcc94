/** File in, files out: the models, their sessions and the picture threads behind one call. */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { runnerCannotRun, runnerFailed, runnerLacksModel, runnerLacksVersion } from '@deblur/shared/protocol/errors.ts';
import { readImageHeader } from '@deblur/shared/image-header/index.ts';
import { costOf, type ModelManifest, type ModelVariant } from '@deblur/shared/protocol/model-manifest.ts';
import type { ModelName, WorkingScale } from '@deblur/shared/protocol/options.ts';
import type { Config } from '../config.ts';
import { HttpClient } from '../transfers/http-client.ts';
import { PICTURE_STOP_MS } from '../limits.ts';
import type { Log } from '../ops/log.ts';
import type { Metrics } from '../ops/metrics.ts';
import { ModelFiles } from '../models/model-files.ts';
import type { PictureReply, PictureRequest, TileCall, TileReply, WantedEncoding } from './picture-messages.ts';
import { serveRpc } from '../threads/rpc.ts';
import { ModelOffers } from '../sessions/model-offers.ts';
import { Sessions, type SessionLease, type ProviderChoice } from '../sessions/sessions.ts';
import { tilingFor } from '../sessions/tile-shape.ts';
import { usableVariants } from '../models/variants.ts';
import { WorkerThread, type ThreadState } from '../threads/worker-thread.ts';

export interface PictureJob {
  readonly source: Uint8Array;
  readonly encoding: WantedEncoding;
  readonly wantMaster: boolean;
  readonly wantResult: boolean;
}

export interface NetworkChoice {
  readonly model: ModelManifest;
  /** Tile side in pixels instead of the manifest's. */
  readonly tile: number | undefined;
  readonly workingScale: WorkingScale;
  readonly onProgress: (done: number, total: number) => void;
}

export interface PictureRestorerPorts {
  readonly log: Log;
  readonly metrics: Metrics;
}

type PictureThread = WorkerThread<PictureRequest, PictureReply>;

export class PictureRestorer {
  /** The models that are served, those that are refused, and their speed. */
  readonly offers: ModelOffers;
  readonly #sessions: Sessions;
  readonly #threads: readonly PictureThread[];
  readonly #heicDecoding: boolean;

  private constructor(
    offers: ModelOffers,
    sessions: Sessions,
    threads: readonly PictureThread[],
    { heicDecoding }: Pick<Config, 'heicDecoding'>,
  ) {
    this.offers = offers;
    this.#heicDecoding = heicDecoding;
    this.#sessions = sessions;
    this.#threads = threads;
  }

  /** @throws {Error} whose message says what is wrong with the models or the execution provider */
  static async open(config: Config, { log, metrics }: PictureRestorerPorts): Promise<PictureRestorer> {
    const files = await loadModels(config, log);
    const { executionProvider: requested, sessionWorkers: workers } = config;
    const { intraOpThreads, batchSize, batchDelayMs, modelMemoryBytes: memoryBytes } = config;
    const options = { requested, workers, intraOpThreads, batchSize, batchDelayMs, memoryBytes, log, metrics };
    const sessions = await Sessions.open(files, options);
    try {
      const offers = await ModelOffers.prepare(files.offered(), sessions, log);
      const script = new URL('./picture-worker.ts', import.meta.url);
      const onRestart = (): void => metrics.threadRestarted();
      const starting = Array.from({ length: config.pictureThreads }, (_, i) =>
        WorkerThread.start<PictureRequest, PictureReply>({ name: `picture ${i}`, script, log, onRestart }),
      );
      return new PictureRestorer(offers, sessions, await Promise.all(starting), config);
    } catch (error) {
      await sessions.close();
      throw error;
    }
  }

  get provider(): ProviderChoice {
    return this.#sessions.provider;
  }

  /** Of each model variant. */
  get sessionCount(): number {
    return this.#sessions.workers;
  }

  get sessionBytes(): ReadonlyMap<string, number> {
    return this.#sessions.bytes;
  }

  get tilesWaiting(): number {
    return this.#sessions.tilesWaiting;
  }

  /** Tiles in one run of the model that a caller gets who names none. */
  get batchSize(): number {
    return this.#sessions.batchSize(this.#preferred);
  }

  /** The best on a GPU; on a CPU, which would take minutes with it, the one that costs least. */
  get #preferred(): ModelManifest {
    const { models } = this.offers;
    if (this.provider.used !== 'cpu') return models[0]!;
    return models.reduce((least, model) => (costOf(model) < costOf(least) ? model : least));
  }

  get threadStates(): readonly ThreadState[] {
    return [...this.#sessions.states, ...this.#threads.map(({ state }) => state)];
  }

  /**
   * @param name undefined: the one that suits the processor
   * @throws {DeblurError} `model_unavailable` when this runner does not have it, cannot run it, or has another version
   */
  model(name: ModelName | undefined, version: string | undefined): ModelManifest {
    const { models, refused } = this.offers;
    const model = name === undefined ? this.#preferred : models.find((candidate) => candidate.name === name);
    if (model === undefined) {
      const reason = refused.get(name ?? '');
      throw reason === undefined ? runnerLacksModel(name ?? 'any model') : runnerCannotRun(name ?? '', reason);
    }
    if (version !== undefined && version !== model.version) throw runnerLacksVersion(model.name);
    return model;
  }

  /**
   * @returns how long restoring a picture takes by the model's measured speed; 0 where it is not known
   * @throws {DeblurError} when the file is none that is restored
   */
  expectedSeconds(model: ModelManifest, source: Uint8Array): number {
    const { width, height } = readImageHeader(source);
    return ((this.offers.secondsPerMegapixel(model) ?? 0) * width * height) / 1e6;
  }

  /** Restores a picture. @throws {DeblurError} what decoding, the network or encoding throw; the signal's reason */
  async restore(
    job: PictureJob,
    { model, tile, workingScale, onProgress }: NetworkChoice,
    signal: AbortSignal,
  ): Promise<PictureReply> {
    const tiling = tilingFor(model, tile, this.provider.used);
    const { port1, port2 } = new MessageChannel();
    const lease = onDemand((samples: 'uint8' | 'float32') => this.#sessions.acquire(model, samples, signal));
    this.#serveTiles(port1, lease.get, onProgress, signal);
    const network = { port: port2, tiling, tilesInFlight: this.#sessions.tilesInFlight(model), workingScale };
    try {
      return await this.#call({ ...job, network }, signal);
    } finally {
      port1.close();
      lease.release();
    }
  }

  /** Writes the same pixels in another format. */
  encode(job: PictureJob, signal: AbortSignal): Promise<PictureReply> {
    return this.#call({ ...job, network: undefined }, signal);
  }

  async close(): Promise<void> {
    await Promise.all([this.#sessions.close(), ...this.#threads.map((thread) => thread.close())]);
  }

  async #call(asked: Omit<PictureRequest, 'heicDecoding'>, signal: AbortSignal): Promise<PictureReply> {
    const request: PictureRequest = { ...asked, heicDecoding: this.#heicDecoding };
    const ports = request.network === undefined ? [] : [request.network.port];
    const running = this.#threads.filter(({ state }) => state === 'running');
    const [thread] = running.sort((a, b) => a.pending - b.pending);
    if (thread === undefined) throw runnerFailed('worker');
    let timer: NodeJS.Timeout | undefined;
    const stopInTime = (): void => {
      timer = setTimeout(() => thread.replace('a cancelled picture did not stop'), PICTURE_STOP_MS);
    };
    signal.addEventListener('abort', stopInTime, { once: true });
    try {
      return await thread.call(request, [request.source.buffer as ArrayBuffer, ...ports], signal);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', stopInTime);
    }
  }

  /**
   * Takes a picture's tiles to the sessions: bytes to `uint8`, floats to `float32`.
   * @param signal the prediction's own: a cancel that went round by the picture's thread would wait for its pixel loops
   */
  #serveTiles(
    port: MessagePort,
    lease: SessionLeaseOf,
    onProgress: NetworkChoice['onProgress'],
    signal: AbortSignal,
  ): void {
    let done = 0;
    serveRpc<TileCall, TileReply>(port, async ({ tile, total }) => {
      const { pool } = await lease(tile.data instanceof Uint8Array ? 'uint8' : 'float32');
      const ran = await pool.run(tile, port, signal);
      onProgress(++done, total);
      return { value: ran };
    });
  }
}

async function loadModels(config: Config, log: Log): Promise<ModelFiles> {
  const { modelDir: dir, modelCacheDir: cacheDir, modelManifests: manifestUrls, modelOrigins } = config;
  // The operator's own word: a store inside the cluster is fine here, while a caller's source is never fetched from there.
  const http = new HttpClient({ allowOrigins: modelOrigins });
  try {
    const wanted = (model: ModelManifest): readonly ModelVariant[] => usableVariants(model, config.executionProvider);
    return await ModelFiles.load({ dir, cacheDir, manifestUrls, wanted, http, log });
  } finally {
    await http.close();
  }
}

type SessionLeaseOf = (samples: 'uint8' | 'float32') => Promise<SessionLease>;

/** The lease of one picture, taken when its first tile shows which sessions it needs: all of its tiles are of one type. */
function onDemand(acquire: SessionLeaseOf): { readonly get: SessionLeaseOf; release(): void } {
  let lease: Promise<SessionLease> | undefined;
  return {
    get: (samples) => (lease ??= acquire(samples)),
    release() {
      lease?.then((held) => held.release()).catch(() => undefined);
    },
  };
}
