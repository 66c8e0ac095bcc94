/** What the runner counts, for Prometheus. Names and units follow its naming rules; gauges are read at each scrape. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ErrorCode } from '@deblur/shared/protocol/errors.ts';
import type { GpuUsage } from './gpu-usage.ts';
import { BATCH_SIZE_BUCKETS, SPAN_BUCKETS_SECONDS } from '../limits.ts';
import type { RestoreReport } from '@deblur/shared/protocol/runner-api.ts';

/** What a prediction's time goes into. `queue` and `infer` are sums over its tiles, which run side by side. */
export type Span = 'queue' | 'download' | 'decode' | 'infer' | 'encode' | 'upload';

/** What the gauges show. */
export interface MetricsSnapshot {
  readonly slots: number;
  readonly busySlots: number;
  readonly tilesWaiting: number;
  readonly webhooksPending: number;
  /** Of the sessions that are open now, by `model.variant`. */
  readonly sessionBytes: ReadonlyMap<string, number>;
  readonly gpu: readonly GpuUsage[];
  /** Undefined until the setup is over. */
  readonly provider: { readonly requested: string; readonly used: string } | undefined;
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #predictions = this.#counter('predictions_total', 'Predictions that ended, by status.', ['status']);
  readonly #errors = this.#counter('prediction_errors_total', 'Predictions that failed, by error code.', ['code']);
  readonly #refusals = this.#counter('refusals_total', 'Predictions that were not taken, by reason.', ['reason']);
  readonly #requests = this.#counter('http_requests_total', 'HTTP requests.', ['method', 'route', 'status']);
  readonly #tiles = this.#counter('tiles_total', 'Tiles that the network has restored.', ['model']);
  readonly #pixels = this.#counter('pixels_total', 'Pixels of the pictures that were restored.', []);
  readonly #restarts = this.#counter('thread_restarts_total', 'Threads that died and were started again.', []);
  readonly #webhooks = this.#counter('webhooks_total', 'Webhooks, by event and outcome.', ['event', 'outcome']);
  readonly #spans = new Histogram({
    name: 'deblur_runner_span_seconds',
    help: 'Where the time of predictions goes; queue and infer are sums over tiles, which run side by side.',
    labelNames: ['span'],
    buckets: [...SPAN_BUCKETS_SECONDS],
    registers: [this.#registry],
  });
  readonly #batches = new Histogram({
    name: 'deblur_runner_batch_size',
    help: 'Tiles in one run of the network; the count is the number of runs.',
    labelNames: ['model'],
    buckets: [...BATCH_SIZE_BUCKETS],
    registers: [this.#registry],
  });

  readonly #slots = this.#gauge('slots', 'Predictions that are taken at once.');
  readonly #pending = this.#gauge(
    'pending',
    'Predictions that were taken and are not over; over slots, what to scale on.',
  );
  readonly #tilesWaiting = this.#gauge('tiles_waiting', 'Tiles that wait for a session.');
  readonly #webhooksPending = this.#gauge('webhooks_pending', 'Webhooks that are not taken yet.');
  readonly #sessions = this.#gauge('session_bytes', 'Memory that the open sessions took.', ['model']);
  readonly #provider = this.#gauge(
    'execution_provider_info',
    'Always 1: what runs the network, and what was asked for.',
    ['requested', 'used'],
  );
  readonly #gpuUsed = this.#gauge('gpu_memory_used_bytes', 'Memory in use on the GPU.', ['gpu']);
  readonly #gpuTotal = this.#gauge('gpu_memory_total_bytes', 'Memory of the GPU.', ['gpu']);
  readonly #gpuBusy = this.#gauge('gpu_utilization_ratio', 'Share of time in which the GPU ran anything.', ['gpu']);

  constructor() {
    collectDefaultMetrics({ register: this.#registry });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Prometheus' text format. */
  text(now: MetricsSnapshot): Promise<string> {
    this.#slots.set(now.slots);
    this.#pending.set(now.busySlots);
    this.#tilesWaiting.set(now.tilesWaiting);
    this.#webhooksPending.set(now.webhooksPending);
    if (now.provider !== undefined) {
      const { requested, used } = now.provider;
      this.#provider.set({ requested, used }, 1);
    }
    this.#sessions.reset();
    for (const [model, bytes] of now.sessionBytes) this.#sessions.set({ model }, bytes);
    for (const { gpu, usedBytes, totalBytes, utilization } of now.gpu) {
      this.#gpuUsed.set({ gpu }, usedBytes);
      this.#gpuTotal.set({ gpu }, totalBytes);
      this.#gpuBusy.set({ gpu }, utilization);
    }
    return this.#registry.metrics();
  }

  async timed<T>(span: Span, work: () => Promise<T>): Promise<T> {
    const end = this.#spans.startTimer({ span });
    try {
      return await work();
    } finally {
      end();
    }
  }

  /** @param queueMs sum over the tiles of the time that they waited for a session */
  made(report: RestoreReport, queueMs: number): void {
    const observe = (span: Span, ms: number): void => this.#spans.observe({ span }, ms / 1000);
    observe('decode', report.decodeMs);
    observe('encode', report.encodeMs);
    if (report.tiles === 0) return;
    observe('queue', queueMs);
    observe('infer', report.inferMs);
    this.#pixels.inc(report.width * report.height);
  }

  ended(status: string, code: ErrorCode | undefined): void {
    this.#predictions.inc({ status });
    if (code !== undefined) this.#errors.inc({ code });
  }

  refused(reason: string): void {
    this.#refusals.inc({ reason });
  }

  ran(model: string, tiles: number): void {
    this.#tiles.inc({ model }, tiles);
    this.#batches.observe({ model }, tiles);
  }

  threadRestarted(): void {
    this.#restarts.inc();
  }

  webhook(event: string, outcome: 'taken' | 'lost'): void {
    this.#webhooks.inc({ event, outcome });
  }

  /** @param route the pattern, not the path: ids are without number */
  answered(method: string, route: string, status: number): void {
    this.#requests.inc({ method, route, status });
  }

  #counter<Label extends string>(name: string, help: string, labelNames: readonly Label[]): Counter<Label> {
    return new Counter({
      name: `deblur_runner_${name}`,
      help,
      labelNames: [...labelNames],
      registers: [this.#registry],
    });
  }

  #gauge<Label extends string = never>(name: string, help: string, labelNames: readonly Label[] = []): Gauge<Label> {
    return new Gauge({ name: `deblur_runner_${name}`, help, labelNames: [...labelNames], registers: [this.#registry] });
  }
}
