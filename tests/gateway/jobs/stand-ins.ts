/** What surrounds a job: the store, by name only, both runners, and the operator's figures. */
import { DeblurError, type WireError } from '@deblur/shared/protocol/errors.ts';
import type { JobRequest } from '../../../workers/gateway/jobs/ports.ts';
import type { RemoteRunner, RemoteState, Restorer, RunnerOperation } from '../../../workers/gateway/runners/ports.ts';
import type { ErasedResult, ResultKind, StoredResult } from '../../../workers/gateway/results/stored-result.ts';
import type { ResultStore } from '../../../workers/gateway/results/result-store.ts';
import type { CounterName, Counts, JobGauge, LiveJob } from '../../../workers/gateway/metrics/ports.ts';
import { REPORT } from './requests.ts';

/** What is stored, by name only. */
export class Shelf implements Pick<ResultStore, 'head' | 'unerase'> {
  readonly #keys = new Set<string>();
  /** Versions of tombstones, by the same names. */
  readonly #erased = new Map<string, string>();

  async head(kind: ResultKind, key: string): Promise<StoredResult | ErasedResult | null> {
    const version = this.#erased.get(kind + key);
    if (version !== undefined) return { kind: 'erased', scope: 'anna', version };
    if (!this.#keys.has(kind + key)) return null;
    const file = { key, size: 1, contentType: 'image/png', sha256: new Uint8Array(32), storedAt: new Date(0) };
    const metadata = {
      model: 'dhnet-edge',
      modelVersion: 'c'.repeat(64),
      placement: 'runner',
      restoration: null,
    } as const;
    return { kind: 'stored', ...file, ...metadata };
  }

  async unerase(kind: ResultKind, key: string, version: string): Promise<void> {
    if (this.#erased.get(kind + key) === version) this.#erased.delete(kind + key);
  }

  erase(kind: ResultKind, key: string, version: string): void {
    this.#keys.delete(kind + key);
    this.#erased.set(kind + key, version);
  }

  store(work: RunnerOperation): void {
    if (work.operation === 'restore') this.#put(`master${work.task.restorationKey}`);
    this.#put(`result${work.task.resultKey}`);
  }

  has(key: string): boolean {
    return this.#keys.has(`result${key}`);
  }

  clear(): void {
    this.#keys.clear();
  }

  /** Every put is conditional: an erased key takes nothing. */
  #put(name: string): void {
    if (!this.#erased.has(name)) this.#keys.add(name);
  }
}

export type Refusal = 'busy' | 'unavailable' | 'answer lost' | WireError;

/** A remote runner that does nothing by itself. */
export class RemoteStandIn implements RemoteRunner {
  readonly predictions = new Map<string, { readonly work: RunnerOperation; state: RemoteState }>();
  readonly begun: string[] = [];
  readonly canceled: string[] = [];
  looks = 0;
  /** How the next creations are refused. */
  refusals: Refusal[] = [];
  retryAfterSeconds: number | undefined;
  isDown = false;
  /** Replicate's way: it names predictions itself. */
  names = false;
  /** Held back until released: the answer to a creation. */
  holding: Promise<void> | undefined;
  readonly #shelf: Shelf;

  constructor(shelf: Shelf) {
    this.#shelf = shelf;
  }

  idOf(work: RunnerOperation, attempt: number): string | null {
    return this.names ? null : `${work.task.resultKey[0]}-${attempt}`;
  }

  async begin(work: RunnerOperation, attempt: number): Promise<RemoteState> {
    this.#assertUp();
    const refusal = this.refusals.shift();
    const { retryAfterSeconds } = this;
    const options = retryAfterSeconds === undefined ? {} : { retryAfterSeconds };
    if (refusal === 'busy') throw new DeblurError('runner_busy', 'Full.', options);
    if (refusal === 'unavailable') throw new DeblurError('runner_unavailable', 'Not ready.', options);
    if (typeof refusal === 'object') throw new DeblurError(refusal.code, refusal.detail);
    const id = this.idOf(work, attempt) ?? `named-${this.begun.length}`;
    const known = this.predictions.get(id);
    if (known === undefined) {
      this.begun.push(id);
      this.predictions.set(id, { work, state: { id, status: 'starting' } });
    }
    const answer = known?.state ?? { id, status: 'starting' as const };
    if (refusal === 'answer lost') throw new DeblurError('runner_unavailable', 'The runner does not answer.');
    await this.holding;
    return answer;
  }

  async look(id: string): Promise<RemoteState | null> {
    this.looks++;
    this.#assertUp();
    return this.predictions.get(id)?.state ?? null;
  }

  async cancel(id: string): Promise<void> {
    this.canceled.push(id);
    this.#assertUp();
    const prediction = this.predictions.get(id);
    if (prediction !== undefined && !isOver(prediction.state)) prediction.state = { id, status: 'canceled' };
  }

  async health() {
    return { ready: !this.isDown, status: 'READY' };
  }

  /** Its process is gone, and a new one comes up. */
  restart(): void {
    this.predictions.clear();
  }

  /** The state after a step of its work; what is over stays so. */
  step(
    id: string,
    status: 'processing' | 'succeeded' | WireError,
    progress?: [done: number, total: number],
  ): RemoteState {
    const prediction = this.predictions.get(id);
    if (prediction === undefined) throw new Error(`no prediction ${id}`);
    if (isOver(prediction.state)) return prediction.state;
    if (status === 'processing') {
      const tiles = progress === undefined ? {} : { progress: { done: progress[0], total: progress[1] } };
      prediction.state = { id, status, ...tiles };
    } else if (status === 'succeeded') {
      this.#shelf.store(prediction.work);
      prediction.state = { id, status, report: REPORT };
    } else {
      prediction.state = { id, status: 'failed', error: status };
    }
    return prediction.state;
  }

  #assertUp(): void {
    if (this.isDown) throw new DeblurError('runner_unavailable', 'The runner does not answer.');
  }
}

const isOver = ({ status }: RemoteState): boolean => status !== 'starting' && status !== 'processing';

/** The edge: one call at a time, until `release`. */
export class EdgeStandIn implements Restorer {
  readonly calls: string[] = [];
  failures: WireError[] = [];
  holding: Promise<void> | undefined;
  readonly #shelf: Shelf;

  constructor(shelf: Shelf) {
    this.#shelf = shelf;
  }

  async restore(task: JobRequest['task']) {
    await this.#run({ operation: 'restore', task });
    return REPORT;
  }

  async encode(task: Extract<RunnerOperation, { operation: 'encode' }>['task']) {
    await this.#run({ operation: 'encode', task });
  }

  async health() {
    return { ready: true, status: 'READY' };
  }

  async #run(work: RunnerOperation): Promise<void> {
    this.calls.push(`${work.operation} ${work.task.encoding.format}`);
    await this.holding;
    const failure = this.failures.shift();
    if (failure !== undefined) throw new DeblurError(failure.code, failure.detail);
    this.#shelf.store(work);
  }
}

/** The operator's figures: what was reported of the job, in the order of its sequence, and what was counted. */
export class StatsStandIn implements Counts, JobGauge {
  readonly reports: { readonly id: string; readonly sequence: number; readonly job: LiveJob | null }[] = [];
  readonly counts: string[] = [];
  isDown = false;

  /** The states that were reported, `over` among them. */
  get states(): string[] {
    return this.reports.map(({ job }) => (job === null ? 'over' : `${job.state} ${job.placement}`));
  }

  async reportJob(id: string, sequence: number, job: LiveJob | null): Promise<void> {
    if (this.isDown) throw new Error('the counters are away');
    this.reports.push({ id, sequence, job });
  }

  count(name: CounterName, labels: Readonly<Record<string, string>>): void {
    this.counts.push([name, ...Object.values(labels)].join(' '));
  }
}
