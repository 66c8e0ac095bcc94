/** What is counted, and how it is asked for: the closed list of metrics. */
import type { Placement } from '../results/stored-result.ts';

/** Prometheus counters by name, with their labels. Label values come from closed lists of ours, never from a caller. */
export const COUNTERS = {
  deblur_http_requests_total: { help: 'Requests by route and status.', labels: ['route', 'method', 'status'] },
  deblur_results_total: { help: 'Results handed out, by what they cost (hit, coalesced, miss).', labels: ['cache'] },
  deblur_restorations_total: {
    help: 'Inferences by placement and outcome (succeeded, or the code of the error).',
    labels: ['placement', 'outcome'],
  },
  deblur_restoration_seconds_total: { help: 'Time spent on inferences that succeeded.', labels: ['placement'] },
  deblur_encodings_total: {
    help: 'Masters encoded once more, by placement and outcome.',
    labels: ['placement', 'outcome'],
  },
  deblur_deliveries_total: { help: 'Webhook attempts by outcome (delivered, failed, disabled).', labels: ['outcome'] },
} as const satisfies Record<string, { readonly help: string; readonly labels: readonly string[] }>;

export type CounterName = keyof typeof COUNTERS;

export type LabelsOf<Name extends CounterName> = Readonly<Record<(typeof COUNTERS)[Name]['labels'][number], string>>;

export interface Counts {
  /** Returns at once and never fails; a count may be lost with its isolate, but is never added twice. */
  count<Name extends CounterName>(name: Name, labels: LabelsOf<Name>, by?: number): void;
}

export const JOB_STATES = ['queued', 'running'] as const;

/** A job that is not over, and where it will run or runs. */
export interface LiveJob {
  readonly state: (typeof JOB_STATES)[number];
  readonly placement: Placement;
}

/** How many jobs there are now, the sum over all objects: each reports its own. */
export interface JobGauge {
  /**
   * @param jobId of whoever reports; its last report counts
   * @param sequence rises with every report of the job: one that comes late changes nothing
   * @param job null when the job has ended. Reported again within STATS_JOB_LEASE_MS, or the job counts as ended
   */
  reportJob(jobId: string, sequence: number, job: LiveJob | null): Promise<void>;
}

/** The operator's view. */
export interface Metrics {
  /** Prometheus text exposition format 0.0.4. */
  render(): Promise<string>;
}
