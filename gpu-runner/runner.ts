/** The runner: its health, its slots, and the life of a prediction from fetch to upload. */
import { randomUUID } from 'node:crypto';
import { DeblurError, toWireError } from '@deblur/shared/errors.ts';
import { DEFAULT_QUALITY, GPU_RESTORE_TIMEOUT_MS } from '@deblur/shared/limits.ts';
import { MEDIA_TYPES, type OutputFormat } from '@deblur/shared/options.ts';
import type { Config } from './config.ts';
import type { HttpClient } from './http-client.ts';
import type { Log } from './log.ts';
import type { PictureReply } from './picture-messages.ts';
import { PredictionMemory } from './prediction-memory.ts';
import { Canceled, Prediction, type PredictionInput, type PredictionOutput } from './prediction.ts';
import { Restorer } from './restorer.ts';
import type { ProviderChoice } from './sessions.ts';
import { Slots } from './slots.ts';
import { readSource } from './source.ts';
import { upload } from './upload.ts';

/** Cog's words. `UNHEALTHY`: a thread is being replaced; `DEFUNCT`: one could not be, only a new process helps. */
export type Health = 'STARTING' | 'READY' | 'BUSY' | 'SETUP_FAILED' | 'DEFUNCT' | 'UNHEALTHY';

export interface HealthReport {
  readonly status: Health;
  readonly setup: {
    readonly status: 'starting' | 'succeeded' | 'failed';
    readonly started_at: string;
    readonly completed_at: string | null;
    /** Why it failed. */
    readonly logs: string;
    readonly execution_provider: ProviderChoice | null;
    readonly models: readonly { readonly name: string; readonly version: string; readonly tile: number }[];
  };
  readonly slots: { readonly total: number; readonly busy: number };
}

export type Refusal = 'starting' | 'setup_failed' | 'stopping' | 'busy';
export type Admission =
  | { readonly admitted: true; readonly prediction: Prediction }
  | { readonly admitted: false; readonly refusal: Refusal };

export class Runner {
  readonly #config: Config;
  readonly #http: HttpClient;
  readonly #log: Log;
  readonly #slots: Slots;
  readonly #memory = new PredictionMemory();
  readonly #startedAt = new Date();
  #setUpAt: Date | undefined;
  #failure: string | undefined;
  #restorer: Restorer | undefined;
  #stopping = false;

  constructor(config: Config, http: HttpClient, log: Log) {
    this.#config = config;
    this.#http = http;
    this.#log = log;
    this.#slots = new Slots(config.slots);
  }

  /** Loads models and sessions. Never throws: a failure is a state of health, and its reason is told there. */
  async setup(): Promise<void> {
    try {
      const restorer = await Restorer.open(this.#config, this.#log);
      if (this.#stopping) return void (await restorer.close());
      this.#restorer = restorer;
      const models = restorer.models.map(({ name, version }) => ({ name, version }));
      const { intraOpThreads: intra_op_threads, slots } = this.#config;
      const { provider: execution_provider, sessionCount: sessions } = restorer;
      this.#log.info('ready', { execution_provider, models, sessions, intra_op_threads, slots });
    } catch (error) {
      const reason =
        error instanceof DeblurError ? error.detail : error instanceof Error ? error.message : String(error);
      this.#failure = reason;
      this.#log.error('setup_failed', error, { execution_provider: this.#config.executionProvider, reason });
    }
    this.#setUpAt = new Date();
  }

  health(): HealthReport {
    const { total, busy } = this.#slots;
    const models = this.#restorer?.models ?? [];
    return {
      status: this.#health(),
      setup: {
        status: this.#failure !== undefined ? 'failed' : this.#restorer === undefined ? 'starting' : 'succeeded',
        started_at: this.#startedAt.toISOString(),
        completed_at: this.#setUpAt?.toISOString() ?? null,
        logs: this.#failure ?? '',
        execution_provider: this.#restorer?.provider ?? null,
        models: models.map(({ name, version, tile }) => ({ name, version, tile: tile.size })),
      },
      slots: { total, busy },
    };
  }

  /** A running prediction, or one that ended a short while ago. */
  find(id: string): Prediction | undefined {
    return this.#memory.get(id, Date.now());
  }

  /** Starts a prediction when a slot is free; one of the same id that is over is forgotten. `finished` tells its end. */
  create(input: PredictionInput, id: string = randomUUID()): Admission {
    const restorer = this.#restorer;
    if (this.#stopping) return { admitted: false, refusal: 'stopping' };
    if (this.#failure !== undefined) return { admitted: false, refusal: 'setup_failed' };
    if (restorer === undefined) return { admitted: false, refusal: 'starting' };
    const release = this.#slots.take();
    if (release === undefined) return { admitted: false, refusal: 'busy' };
    const prediction = new Prediction(id, input);
    this.#memory.add(prediction);
    void this.#run(prediction, input.image, restorer).finally(() => {
      release();
      this.#memory.trim(Date.now());
    });
    return { admitted: true, prediction };
  }

  /** Takes no more predictions, gives the running ones `seconds`, cancels what is left, and closes everything. */
  async stop(seconds: number): Promise<void> {
    this.#stopping = true;
    const { running } = this.#memory;
    const timer = setTimeout(() => running.forEach((prediction) => prediction.cancel()), seconds * 1000);
    await Promise.all(running.map(({ finished }) => finished));
    clearTimeout(timer);
    await this.#restorer?.close();
    await this.#http.close();
  }

  /** Ends the wait of `stop`. */
  cancelAll(): void {
    for (const prediction of this.#memory.running) prediction.cancel();
  }

  #health(): Health {
    if (this.#failure !== undefined) return 'SETUP_FAILED';
    if (this.#restorer === undefined) return 'STARTING';
    const states = this.#restorer.threadStates;
    if (states.includes('dead')) return 'DEFUNCT';
    if (states.includes('restarting')) return 'UNHEALTHY';
    return this.#slots.busy < this.#slots.total ? 'READY' : 'BUSY';
  }

  /** Never rejects: every end is a state of the prediction. */
  async #run(prediction: Prediction, image: string, restorer: Restorer): Promise<void> {
    const deadline = new DeblurError('deadline_exceeded', `Not done within ${GPU_RESTORE_TIMEOUT_MS / 1000} seconds.`);
    const timer = setTimeout(() => prediction.expire(deadline), GPU_RESTORE_TIMEOUT_MS);
    prediction.start();
    try {
      const source = await readSource(image, this.#http, prediction.signal);
      const made = await this.#make(prediction, source, restorer);
      const output = await this.#deliver(prediction, made);
      prediction.succeed(output, made.report);
    } catch (error) {
      if (error instanceof Canceled) prediction.canceled();
      else this.#fail(prediction, error);
    } finally {
      clearTimeout(timer);
    }
    const { id, status, metrics } = prediction.view();
    this.#log.info('prediction', { id, status, ...metrics });
  }

  #fail(prediction: Prediction, error: unknown): void {
    const wire = toWireError(error);
    // What the caller did wrong is the caller's news; what we did wrong is ours.
    if (wire.code === 'internal' || wire.code === 'runner_failed') {
      this.#log.error('prediction_failed', error, { id: prediction.id });
    }
    prediction.fail(wire);
  }

  async #make(prediction: Prediction, source: Uint8Array, restorer: Restorer): Promise<PictureReply> {
    const { input, signal } = prediction;
    const { format, quality = DEFAULT_QUALITY, metadata = 'keep' } = input;
    const wantMaster = input.operation === 'restore' && input.master_upload_url !== undefined;
    const wantResult = input.result_upload_url !== undefined || !wantMaster;
    const job = { source, encoding: { format, quality, metadata }, wantMaster, wantResult };
    if (input.operation === 'encode') {
      if (input.master_upload_url === undefined) return restorer.encode(job, signal);
      throw new DeblurError('invalid_option', 'master_upload_url: an encoding makes no master');
    }
    const model = restorer.model(input.model, input.model_version);
    prediction.chose(model);
    const onProgress = (done: number, total: number): void => prediction.progressed(done, total);
    return restorer.restore(job, { model, tile: input.tile, onProgress }, signal);
  }

  /** To the upload URLs when there are any, else into the prediction itself. */
  async #deliver(prediction: Prediction, made: PictureReply): Promise<PredictionOutput> {
    const { master_upload_url: masterUrl, result_upload_url: resultUrl } = prediction.input;
    const { master, result, format, report } = made;
    if (masterUrl === undefined && resultUrl === undefined) return dataUri(result, format);
    const { model, version } = prediction.view();
    await Promise.all([
      this.#upload(prediction, masterUrl, master, 'png'),
      this.#upload(prediction, resultUrl, result, format),
    ]);
    return { report, ...(model === null || version === null ? {} : { model, model_version: version }) };
  }

  async #upload(
    { signal }: Prediction,
    url: string | undefined,
    bytes: Uint8Array | undefined,
    format: OutputFormat,
  ): Promise<void> {
    if (url === undefined || bytes === undefined) return;
    await upload({ url, bytes, mediaType: MEDIA_TYPES[format] }, this.#http, signal);
  }
}

function dataUri(bytes: Uint8Array | undefined, format: OutputFormat): string {
  if (bytes === undefined) throw new DeblurError('internal', 'No result was made.');
  return `data:${MEDIA_TYPES[format]};base64,${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')}`;
}
