/**
 * Tells a prediction's webhook what becomes of it, as Cog does: `start`, `output` and `completed` at once, `logs` (our
 * progress) at most every 500 ms; in order; signed by Standard Webhooks 1.0.0 where there is a secret. The terminal event
 * is tried again until it is taken or given up, the others once: what they say, the next one says, too.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { signWebhook } from '@deblur/shared/protocol/standard-webhooks.ts';
import { deliver } from '../transfers/delivery.ts';
import type { HttpClient } from '../transfers/http-client.ts';
import {
  WEBHOOK_ATTEMPTS,
  WEBHOOK_BACKOFF_MS,
  WEBHOOK_LOGS_INTERVAL_MS,
  WEBHOOK_MAX_BACKOFF_MS,
  WEBHOOK_TIMEOUT_MS,
} from '../limits.ts';
import type { Log } from '../ops/log.ts';
import type { Metrics } from '../ops/metrics.ts';
import { predictionJson } from './prediction-json.ts';
import type { Prediction, PredictionEvent, RunnerPredictionSnapshot } from './prediction.ts';
import type { Trace } from '../ops/trace.ts';

export interface WebhookTarget {
  readonly url: string;
  /** Undefined: all of them. */
  readonly events: readonly PredictionEvent[] | undefined;
}

export interface WebhooksOptions {
  readonly http: HttpClient;
  /** `whsec_…`; undefined: unsigned. */
  readonly secret: string | undefined;
  readonly log: Log;
  readonly metrics: Metrics;
}

const BEST_EFFORT = {
  attempts: 1,
  backoffMs: 0,
  maxBackoffMs: 0,
  timeoutMs: WEBHOOK_TIMEOUT_MS,
};
const UNTIL_TAKEN = {
  attempts: WEBHOOK_ATTEMPTS,
  backoffMs: WEBHOOK_BACKOFF_MS,
  maxBackoffMs: WEBHOOK_MAX_BACKOFF_MS,
  timeoutMs: WEBHOOK_TIMEOUT_MS,
};

export class Webhooks {
  readonly #options: WebhooksOptions;
  readonly #pending = new Set<Promise<void>>();
  readonly #stopped = new AbortController();

  constructor(options: WebhooksOptions) {
    this.#options = options;
  }

  /** Events that are not taken yet. */
  get pending(): number {
    return this.#pending.size;
  }

  /** From now on the target hears of the prediction, to its end. */
  follow(prediction: Prediction, { url, events }: WebhookTarget): void {
    const wanted = (event: PredictionEvent): boolean => events === undefined || events.includes(event);
    let last: Promise<void> = Promise.resolve();
    const enqueue = (event: PredictionEvent): void => {
      // Taken now: by the time it is sent the prediction may be in another state.
      const snapshot = prediction.snapshot();
      last = last.then(() => this.#send(event, url, snapshot, prediction.trace));
      this.#track(last);
    };
    const logs = throttle(WEBHOOK_LOGS_INTERVAL_MS, async () => {
      enqueue('logs');
      await last;
    });
    prediction.subscribe((event) => {
      if (event === 'completed') logs.cancel();
      if (!wanted(event)) return;
      if (event === 'logs') logs.call();
      else enqueue(event);
    });
  }

  /** Waits until everything is taken or given up, at most so long; what is left then is lost, and the log says so. */
  async close(milliseconds: number): Promise<void> {
    const settled = async (): Promise<void> => {
      while (this.#pending.size > 0) await Promise.all(this.#pending);
    };
    await Promise.race([settled(), sleep(milliseconds, undefined, { ref: false })]);
    this.#stopped.abort(new Error('the runner stopped'));
    await settled();
  }

  #track(delivery: Promise<void>): void {
    this.#pending.add(delivery);
    void delivery.finally(() => this.#pending.delete(delivery));
  }

  /** Never rejects: a receiver that is down changes nothing about the prediction. */
  async #send(event: PredictionEvent, url: string, snapshot: RunnerPredictionSnapshot, trace: Trace): Promise<void> {
    const { http, secret, log, metrics } = this.#options;
    const messageId = `msg_${randomUUID()}`;
    try {
      const body = await predictionJson(snapshot);
      const request = async () => ({
        method: 'POST' as const,
        headers: { ...trace.headers, 'content-type': 'application/json', ...(await signed(messageId, body, secret)) },
        body,
      });
      await deliver(url, request, http, event === 'completed' ? UNTIL_TAKEN : BEST_EFFORT, this.#stopped.signal);
      metrics.webhook(event, 'taken');
    } catch (error) {
      metrics.webhook(event, 'lost');
      // Not the whole URL: what lets a caller in may be in it.
      log.error('webhook_lost', error, { id: snapshot.id, webhook_event: event, host: new URL(url).host });
    }
  }
}

/** The id stays over retries, the timestamp is of the attempt. */
async function signed(
  id: string,
  body: Uint8Array,
  secret: string | undefined,
): Promise<Readonly<Record<string, string>>> {
  const timestamp = Math.floor(Date.now() / 1000);
  if (secret !== undefined) return signWebhook({ id, timestamp, body }, [secret]);
  return { 'webhook-id': id, 'webhook-timestamp': String(timestamp) };
}

/** Runs `work` at most once per interval and one at a time; a call in between is answered at the interval's end. */
function throttle(intervalMs: number, work: () => Promise<void>): { call(): void; cancel(): void } {
  let timer: NodeJS.Timeout | undefined;
  let readyAt = 0;
  let canceled = false;
  const run = async (): Promise<void> => {
    readyAt = performance.now() + intervalMs;
    await work();
    timer = undefined;
  };
  return {
    call() {
      if (timer !== undefined || canceled) return;
      timer = setTimeout(() => void run(), Math.max(0, readyAt - performance.now()));
    },
    cancel() {
      canceled = true;
      clearTimeout(timer);
    },
  };
}
