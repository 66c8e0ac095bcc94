/** The runner: its health, its slots, which predictions it takes and how it ends. */
import { randomUUID } from 'node:crypto';
import { DeblurError, runnerStopped, toWireError } from '@deblur/shared/protocol/errors.ts';
import type { ServedModel } from '@deblur/shared/protocol/runner-api.ts';
import type { Config } from '../config.ts';
import { readGpuUsage } from '../ops/gpu-usage.ts';
import type { HttpClient } from '../transfers/http-client.ts';
import { WEBHOOK_FLUSH_MS } from '../limits.ts';
import type { Log } from '../ops/log.ts';
import { Metrics } from '../ops/metrics.ts';
import { predict } from './predict.ts';
import { PredictionMemory } from './prediction-memory.ts';
import { Prediction, type PredictionInput } from './prediction.ts';
import { PictureRestorer } from '../pictures/picture-restorer.ts';
import type { ProviderChoice } from '../sessions/sessions.ts';
import { Slots } from './slots.ts';
import type { Trace } from '../ops/trace.ts';
import { Webhooks, type WebhookTarget } from './webhooks.ts';

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
    /** With the side of their tiles in pixels. */
    readonly models: readonly (ServedModel & { readonly tile: number })[];
    /** Models that are here and cannot run. */
    readonly refused: readonly { readonly name: string; readonly reason: string }[];
  };
  readonly slots: { readonly total: number; readonly busy: number };
}

export type Refusal = 'starting' | 'setup_failed' | 'stopping' | 'busy';
export type Admission =
  | { readonly admitted: true; readonly prediction: Prediction }
  | { readonly admitted: false; readonly refusal: Refusal };

export interface PredictionRequest {
  readonly id?: string | undefined;
  readonly input: PredictionInput;
  /** The file itself, which is given away; without it, what `input.image` says. */
  readonly source?: Uint8Array;
  readonly webhook?: WebhookTarget | undefined;
  readonly trace: Trace;
}

export class RunnerService {
  readonly metrics = new Metrics();
  readonly #config: Config;
  readonly #http: HttpClient;
  readonly #log: Log;
  readonly #slots: Slots;
  readonly #uploads: Slots;
  readonly #webhooks: Webhooks;
  readonly #memory = new PredictionMemory();
  readonly #startedAt = new Date();
  #setUpAt: Date | undefined;
  #failure: string | undefined;
  #restorer: PictureRestorer | undefined;
  #stopping = false;

  constructor(config: Config, http: HttpClient, log: Log) {
    this.#config = config;
    this.#http = http;
    this.#log = log;
    this.#slots = new Slots(config.slots);
    this.#uploads = new Slots(config.slots);
    this.#webhooks = new Webhooks({ http, log, metrics: this.metrics, secret: config.webhookSecret });
  }

  /** Loads models and sessions. Never throws: a failure is a state of health, and its reason is told there. */
  async setup(): Promise<void> {
    try {
      const restorer = await PictureRestorer.open(this.#config, { log: this.#log, metrics: this.metrics });
      if (this.#stopping) return void (await restorer.close());
      this.#restorer = restorer;
      const models = restorer.offers.models.map(({ name, version }) => ({ name, version }));
      const { intraOpThreads: intra_op_threads, slots } = this.#config;
      const { provider: execution_provider, sessionCount: sessions, batchSize: batch_size } = restorer;
      this.#log.info('ready', { execution_provider, models, sessions, intra_op_threads, batch_size, slots });
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
    const { models = [], refused = new Map() } = this.#restorer?.offers ?? {};
    return {
      status: this.#health(),
      setup: {
        status: this.#failure !== undefined ? 'failed' : this.#restorer === undefined ? 'starting' : 'succeeded',
        started_at: this.#startedAt.toISOString(),
        completed_at: this.#setUpAt?.toISOString() ?? null,
        logs: this.#failure ?? '',
        execution_provider: this.#restorer?.provider ?? null,
        models: models.map((model) => ({
          name: model.name,
          version: model.version,
          tile: model.tile.size,
          seconds_per_megapixel: this.#restorer?.offers.secondsPerMegapixel(model) ?? null,
        })),
        refused: [...refused].map(([name, reason]) => ({ name, reason })),
      },
      slots: { total, busy },
    };
  }

  /** A running prediction, or one that ended a short while ago. */
  find(id: string): Prediction | undefined {
    return this.#memory.get(id, Date.now());
  }

  /**
   * Whether a peer is to pass a request about it on to here. While this runner stops it takes no PUT for what is over: that
   * may be new work, for another one.
   */
  answersFor(prediction: Prediction | undefined, method: string | undefined): boolean {
    return prediction !== undefined && !(this.#stopping && method === 'PUT' && prediction.completedAt !== undefined);
  }

  /** @throws {DeblurError} `malformed_request`, `forbidden`: an address that this runner would not call */
  assertCallable(url: string): void {
    this.#http.check(url);
  }

  /**
   * Room for one file in memory that comes with its request. As many as slots, since that is how many can be worked on.
   * @returns its release; undefined when there is none
   */
  takeUpload(): (() => void) | undefined {
    return this.#uploads.take();
  }

  /** Starts a prediction when a slot is free; one of the same id that is over is forgotten. `finished` tells its end. */
  create({ id = randomUUID(), input, source, webhook, trace }: PredictionRequest): Admission {
    const restorer = this.#restorer;
    const release = this.refusal === undefined ? this.#slots.take() : undefined;
    if (restorer === undefined || release === undefined) return this.#refuse(this.refusal ?? 'busy');
    const prediction = new Prediction(id, input, trace);
    this.#memory.add(prediction);
    if (webhook !== undefined) this.#webhooks.follow(prediction, webhook);
    const { timeoutSeconds } = this.#config;
    const ports = { http: this.#http, log: this.#log, metrics: this.metrics, restorer, timeoutSeconds };
    void predict(prediction, source ?? input.image, ports).finally(() => {
      release();
      this.#memory.trim(Date.now());
    });
    return { admitted: true, prediction };
  }

  /** Why no prediction would be taken, however many slots are free. */
  get refusal(): Exclude<Refusal, 'busy'> | undefined {
    if (this.#stopping) return 'stopping';
    if (this.#failure !== undefined) return 'setup_failed';
    return this.#restorer === undefined ? 'starting' : undefined;
  }

  /** Prometheus' text format. */
  async scrape(): Promise<string> {
    const { total: slots, busy: busySlots } = this.#slots;
    const onGpu = this.#restorer !== undefined && this.#restorer.provider.used !== 'cpu';
    return this.metrics.text({
      slots,
      busySlots,
      tilesWaiting: this.#restorer?.tilesWaiting ?? 0,
      webhooksPending: this.#webhooks.pending,
      sessionBytes: this.#restorer?.sessionBytes ?? new Map(),
      provider: this.#restorer?.provider,
      gpu: onGpu ? await readGpuUsage() : [],
    });
  }

  /**
   * Takes no more predictions, gives the running ones `seconds`, fails what is left, so that its callers try it elsewhere,
   * and closes everything.
   */
  async stop(seconds: number): Promise<void> {
    this.#stopping = true;
    const timer = setTimeout(() => this.failAll(), seconds * 1000);
    await Promise.all(this.#memory.running.map(({ finished }) => finished));
    clearTimeout(timer);
    await this.#webhooks.close(WEBHOOK_FLUSH_MS);
    await this.#restorer?.close();
    await this.#http.close();
  }

  /** Ends the wait of `stop`. */
  failAll(): void {
    const reason = runnerStopped();
    for (const prediction of this.#memory.running) {
      prediction.abort(reason);
      // It does not wait for what cannot be interrupted, such as one step of a codec.
      prediction.fail(toWireError(reason));
    }
  }

  #refuse(refusal: Refusal): Admission {
    this.metrics.refused(refusal);
    return { admitted: false, refusal };
  }

  #health(): Health {
    if (this.#failure !== undefined) return 'SETUP_FAILED';
    if (this.#restorer === undefined) return 'STARTING';
    const states = this.#restorer.threadStates;
    if (states.includes('dead')) return 'DEFUNCT';
    if (states.includes('restarting')) return 'UNHEALTHY';
    return this.#slots.busy < this.#slots.total ? 'READY' : 'BUSY';
  }
}
