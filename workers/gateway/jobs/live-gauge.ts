/**
 * Keeps the operator's gauge of jobs true: it is told the state of the job whenever that is another one than it was told
 * last, and again before its lease ends. Nobody waits for it: what it is not told in time it forgets by itself.
 */
import { STATS_JOB_LEASE_MS } from '@deblur/shared/limits.ts';
import type { JobGauge, LiveJob } from '../metrics/ports.ts';

/** A job that is not over, and its name. */
export interface NamedJob extends LiveJob {
  readonly id: string;
}

export interface LiveGaugeContext {
  readonly gauge: JobGauge;
  readonly now: () => number;
  readonly waitUntil: (work: Promise<unknown>) => void;
  /** What is true now; null when the job is over, or there is none. */
  readonly read: () => NamedJob | null;
}

const RENEW_MS = STATS_JOB_LEASE_MS / 2;

export class LiveGauge {
  readonly #context: LiveGaugeContext;
  /** Undefined: it is not known what was taken. */
  #told: NamedJob | null | undefined;
  #id: string | undefined;
  #toldAt = 0;
  #sequence = 0;
  #isTelling = false;

  constructor(context: LiveGaugeContext) {
    this.#context = context;
  }

  /** To be called whenever the state may have changed: one report is under way at a time, with the state of its moment. */
  update(): void {
    if (this.#isTelling || !this.#isNews()) return;
    this.#isTelling = true;
    this.#context.waitUntil(this.#tell().finally(() => (this.#isTelling = false)));
  }

  /** When the gauge wants to hear again although nothing changes; null while there is no job. */
  nextAt(): number | null {
    return this.#context.read() === null ? null : this.#toldAt + RENEW_MS;
  }

  async #tell(): Promise<void> {
    while (this.#isNews()) {
      const job = this.#context.read();
      this.#id = job?.id ?? this.#id;
      this.#toldAt = this.#context.now();
      // Later than whatever an earlier object of this job has told.
      this.#sequence = Math.max(this.#sequence + 1, this.#toldAt);
      if (this.#id === undefined) return;
      try {
        await this.#context.gauge.reportJob(
          this.#id,
          this.#sequence,
          job && { state: job.state, placement: job.placement },
        );
        this.#told = job;
      } catch (error) {
        this.#told = undefined;
        console.warn(JSON.stringify({ level: 'warn', event: 'job_not_reported', error: String(error) }));
        return;
      }
    }
  }

  #isNews(): boolean {
    const job = this.#context.read();
    // An object that has told nothing yet has nothing to take back.
    if (job === null) return this.#told !== null && this.#id !== undefined;
    const isDue = this.#context.now() >= this.#toldAt + RENEW_MS;
    if (this.#told === undefined) return isDue;
    return isDue || this.#told?.state !== job.state || this.#told.placement !== job.placement;
  }
}
