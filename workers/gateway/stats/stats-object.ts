/**
 * The one object that adds up what isolates and jobs report. What it does not know costs a figure, never a request:
 * nobody waits for it.
 */
import { DurableObject } from 'cloudflare:workers';
import { COUNTERS, JOB_STATES, type JobState } from '../predict/stats-ports.ts';
import type { CounterBatch } from './counter-batches.ts';
import { exposition, familyOf, seriesName, type MetricFamily } from './exposition.ts';
import { StatsTable } from './stats-table.ts';

export class StatsObject extends DurableObject<Env> {
  readonly #table: StatsTable;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#table = new StatsTable(ctx.storage);
  }

  /** Idempotent. */
  report(batch: CounterBatch): void {
    this.#table.add(batch, Date.now());
  }

  /** Idempotent, in any order. */
  reportJob(jobId: string, sequence: number, state: JobState | null): void {
    this.#table.setJob(jobId, sequence, state, Date.now());
  }

  render(): string {
    return exposition([...this.#counters(), ...this.#jobs()]);
  }

  #counters(): MetricFamily[] {
    const series = this.#table.counters();
    return Object.entries(COUNTERS).map(([name, { help }]) => ({
      name,
      type: 'counter',
      help,
      series: series.filter(([entry]) => familyOf(entry) === name),
    }));
  }

  #jobs(): MetricFamily[] {
    const jobs = this.#table.jobs(Date.now());
    const byState = JOB_STATES.map((state) => [seriesName('deblur_jobs', { state }), jobs.get(state) ?? 0] as const);
    return [
      { name: 'deblur_jobs', type: 'gauge', help: 'Jobs by state.', series: byState },
      {
        name: 'deblur_jobs_backlog',
        type: 'gauge',
        help: 'Jobs that wait for a runner or run on one: what an autoscaler divides by the slots of a runner.',
        series: [['deblur_jobs_backlog', [...jobs.values()].reduce((sum, count) => sum + count, 0)]],
      },
    ];
  }
}
