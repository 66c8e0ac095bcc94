/**
 * The one object that adds up what isolates and jobs report. What it does not know costs a figure, never a request:
 * nobody waits for it.
 */
import { DurableObject } from 'cloudflare:workers';
import { COUNTERS, JOB_STATES, type LiveJob } from './ports.ts';
import type { CounterBatch } from './counter-batches.ts';
import { exposition, familyOf, seriesName, type MetricFamily } from './exposition.ts';
import { StatsTable } from './stats-table.ts';

const PLACEMENTS = ['edge', 'runner'] as const;

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
  reportJob(jobId: string, sequence: number, job: LiveJob | null): void {
    this.#table.setJob(jobId, sequence, job, Date.now());
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
    const now = Date.now();
    const counts = PLACEMENTS.flatMap((placement) =>
      JOB_STATES.map((state) => ({ placement, state, jobs: this.#table.countJobs({ placement, state }, now) })),
    );
    const series = counts.map(({ jobs, ...labels }) => [seriesName('deblur_jobs', labels), jobs] as const);
    const backlog = counts.filter(({ placement }) => placement === 'runner').reduce((sum, { jobs }) => sum + jobs, 0);
    return [
      { name: 'deblur_jobs', type: 'gauge', help: 'Jobs that are not over, by placement and state.', series },
      {
        name: 'deblur_jobs_backlog',
        type: 'gauge',
        help: 'Jobs that wait for a GPU runner or run on one: with any there must be a runner.',
        series: [['deblur_jobs_backlog', backlog]],
      },
    ];
  }
}
