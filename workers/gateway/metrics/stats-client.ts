/** The way from an isolate to the object that counts. */
import { waitUntil } from 'cloudflare:workers';
import { serviceUnavailable } from '@deblur/shared/protocol/errors.ts';
import { RETRY_AFTER_SECONDS, STATS_FLUSH_MS, STATS_TIMEOUT_MS } from '@deblur/shared/limits.ts';
import type { CounterName, Counts, JobGauge, LabelsOf, LiveJob, Metrics } from './ports.ts';
import { withTimeout } from '../with-timeout.ts';
import { CounterBatches, type CounterBatch } from './counter-batches.ts';
import { seriesName } from './exposition.ts';

/** The methods of the bound object that are called from outside. */
interface StatsStub {
  report(batch: CounterBatch): Promise<void>;
  reportJob(jobId: string, sequence: number, job: LiveJob | null): Promise<void>;
  render(): Promise<string>;
}

export class StatsClient implements Counts, JobGauge, Metrics {
  readonly #stub: () => StatsStub;
  #batches: CounterBatches | undefined;
  /** When the flush began that is under way. A request that is cancelled never ends its flush: so it is not waited for for ever. */
  #flushingSince: number | null = null;

  constructor(stub: () => StatsStub) {
    this.#stub = stub;
  }

  count<Name extends CounterName>(name: Name, labels: LabelsOf<Name>, by = 1): void {
    // Not with the client, which may be made where random values cannot be had.
    this.#batches ??= new CounterBatches(crypto.randomUUID());
    this.#batches.add(seriesName(name, labels), by);
    const now = Date.now();
    const abandoned = (this.#flushingSince ?? now) < now - 2 * (STATS_FLUSH_MS + STATS_TIMEOUT_MS);
    if (this.#flushingSince !== null && !abandoned) return;
    this.#flushingSince = now;
    waitUntil(this.#flush(this.#batches));
  }

  async reportJob(jobId: string, sequence: number, job: LiveJob | null): Promise<void> {
    await withTimeout(this.#stub().reportJob(jobId, sequence, job), STATS_TIMEOUT_MS, late);
  }

  render(): Promise<string> {
    return withTimeout(this.#stub().render(), STATS_TIMEOUT_MS, late);
  }

  /** Waits for what else comes, then sends it all; what cannot be sent goes with the next flush. */
  async #flush(batches: CounterBatches): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, STATS_FLUSH_MS));
    // From here on a count begins a flush of its own: this one may have missed it.
    this.#flushingSince = null;
    try {
      // The second time for what came while an earlier flush had failed.
      for (let batch = batches.next(), sent = 0; batch !== null && sent < 2; batch = batches.next(), sent++) {
        await withTimeout(this.#stub().report(batch), STATS_TIMEOUT_MS, late);
        batches.acknowledge(batch);
      }
    } catch (error) {
      console.warn(JSON.stringify({ level: 'warn', event: 'stats_not_sent', error: String(error) }));
    }
  }
}

const late = () => serviceUnavailable('record of metrics', RETRY_AFTER_SECONDS);
