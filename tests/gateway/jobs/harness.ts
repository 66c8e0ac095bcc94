/**
 * A Job over the real SqlStorage of an object, with everything around it in the test's hand: the clock, the alarm, the
 * queue, the store, the subscribers, and both runners.
 */
import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { DeblurError, type WireError } from '@deblur/shared/errors.ts';
import { Job } from '../../../workers/gateway/jobs/job.ts';
import type { DispatchMessage } from '../../../workers/gateway/jobs/dispatch-queue.ts';
import type {
  JobEvent,
  JobRequest,
  Placement,
  RemoteRunner,
  RemoteState,
  Restorer,
  ResultKind,
  ResultStore,
  StoredResult,
  Work,
} from '../../../workers/gateway/predict/ports.ts';
import type { CounterName, Counts, JobGauge, LiveJob } from '../../../workers/gateway/predict/stats-ports.ts';

export const REPORT = { tiles: 4, width: 8, height: 8, decodeMs: 1, restoreMs: 3, inferMs: 2, encodeMs: 1 };

export const RESTORATION_KEY = 'a'.repeat(64);

/** The ResultKey of one format of the one picture. */
export const keyOf = (format: 'png' | 'webp' | 'jpeg'): string =>
  ({ png: '1', webp: '2', jpeg: '3' })[format].repeat(64);

export function requestFor(format: 'png' | 'webp' | 'jpeg' = 'png', placement: Placement = 'gpu'): JobRequest {
  return {
    task: {
      restorationKey: RESTORATION_KEY,
      resultKey: keyOf(format),
      sourceDigest: 'd'.repeat(64),
      model: 'dhnet-edge',
      modelVersion: 'c'.repeat(64),
      encoding: { format, quality: 90, metadata: 'keep' },
    },
    placement,
    encodePlacement: placement,
  };
}

/** What is stored, by name only. */
class Shelf implements Pick<ResultStore, 'head'> {
  readonly #keys = new Set<string>();

  async head(kind: ResultKind, key: string): Promise<StoredResult | null> {
    if (!this.#keys.has(kind + key)) return null;
    const metadata = { model: 'dhnet-edge', modelVersion: 'c'.repeat(64), placement: 'gpu' } as const;
    return { key, size: 1, contentType: 'image/png', sha256: new Uint8Array(32), storedAt: new Date(0), ...metadata };
  }

  store(work: Work): void {
    if (work.operation === 'restore') this.#keys.add(`master${work.task.restorationKey}`);
    this.#keys.add(`result${work.task.resultKey}`);
  }

  has(key: string): boolean {
    return this.#keys.has(`result${key}`);
  }

  clear(): void {
    this.#keys.clear();
  }
}

export type Refusal = 'busy' | 'unavailable' | 'answer lost' | WireError;

/** A remote runner that does nothing by itself. */
export class RemoteStandIn implements RemoteRunner {
  readonly predictions = new Map<string, { readonly work: Work; state: RemoteState }>();
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

  idOf(work: Work, attempt: number): string | null {
    return this.names ? null : `${work.task.resultKey[0]}-${attempt}`;
  }

  async begin(work: Work, attempt: number): Promise<RemoteState> {
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

  read(): RemoteState {
    throw new Error('callbacks are read before they come to a job');
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
class EdgeStandIn implements Restorer {
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

  async encode(task: Extract<Work, { operation: 'encode' }>['task']) {
    await this.#run({ operation: 'encode', task });
  }

  async health() {
    return { ready: true, status: 'READY' };
  }

  async #run(work: Work): Promise<void> {
    this.calls.push(`${work.operation} ${work.task.encoding.format}`);
    await this.holding;
    const failure = this.failures.shift();
    if (failure !== undefined) throw new DeblurError(failure.code, failure.detail);
    this.#shelf.store(work);
  }
}

/** The operator's figures: what was reported of the job, in the order of its sequence, and what was counted. */
class StatsStandIn implements Counts, JobGauge {
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

export interface Told {
  readonly sequence: number;
  readonly event: JobEvent;
}

export class Bench {
  now = 1_000_000_000;
  alarmAt: number | undefined;
  readonly shelf = new Shelf();
  readonly gpu = new RemoteStandIn(this.shelf);
  readonly edge = new EdgeStandIn(this.shelf);
  readonly stats = new StatsStandIn();
  readonly messages: { readonly message: DispatchMessage; readonly delaySeconds: number }[] = [];
  /** What each prediction was told, each number once, as a receiver keeps it. */
  readonly told = new Map<string, Told[]>();
  /** Deliveries, repetitions included. */
  deliveries = 0;
  /** Subscribers that take nothing; `after`: they do, and their answer is lost. */
  deaf: 'before' | 'after' | undefined;
  deleted = 0;
  job: Job;
  readonly #sql: SqlStorage;
  #pending: Promise<unknown>[] = [];

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.job = this.restart();
  }

  /** The object dies, and comes back with nothing but its tables. */
  restart(): Job {
    const born = { dead: false };
    this.#kill();
    this.#kill = () => (born.dead = true);
    const alive = <T>(value: T): T => {
      if (born.dead) throw new Error('this object is dead');
      return value;
    };
    this.job = new Job(
      {
        // What a dead object still has to say reaches nobody.
        sql: new Proxy(this.#sql, {
          get: (sql, name) => (name === 'exec' ? alive(sql.exec.bind(sql)) : Reflect.get(sql, name)),
        }),
        now: () => this.now,
        setAlarm: (at) => (this.alarmAt = alive(at)),
        waitUntil: (work) => this.#pending.push(work.catch(() => undefined)),
        deleteAll: async () => {
          for (const table of ['job_task', 'job_subscriber', 'job_event']) this.#sql.exec(`DROP TABLE ${table}`);
          this.alarmAt = undefined;
          this.deleted++;
        },
      },
      {
        results: this.shelf as unknown as ResultStore,
        restorers: { edge: this.edge, gpu: this.gpu },
        stats: this.stats,
        subscribers: { notify: (...told) => this.#take(...told) },
        callBack: async (message, delaySeconds) => void this.messages.push({ message, delaySeconds }),
      },
    );
    return this.job;
  }

  /** Lets everything under way come to its end. */
  async settle(): Promise<void> {
    // Calls to stand-ins and the store resolve within a few turns of the loop.
    for (let turns = 0; turns < 3; turns++) {
      const pending = this.#pending;
      this.#pending = [];
      await Promise.race([Promise.all(pending), new Promise((resolve) => setTimeout(resolve, 1))]);
      this.#pending.push(...pending);
    }
    this.#pending = this.#pending.slice(-200);
  }

  /** Time passes, and alarms go off when they are due. */
  async advance(ms: number): Promise<void> {
    const end = this.now + ms;
    for (let alarms = 0; this.alarmAt !== undefined && this.alarmAt <= end; alarms++) {
      if (alarms > 10_000) throw new Error('the alarm goes off without end');
      this.now = Math.max(this.now, this.alarmAt);
      this.alarmAt = undefined;
      const rung = this.job.alarm().catch(() => undefined);
      await this.settle();
      void rung;
    }
    this.now = Math.max(this.now, end);
  }

  submit(predictionId: string, request = requestFor(), lifetimeMs = 3_600_000): { started: boolean } {
    return this.job.submit(request, { predictionId, deadlineAt: this.now + lifetimeMs });
  }

  /** A callback of the runner, about the attempt in the prediction's name. */
  async callback(said: RemoteState, key = keyOf('png')): Promise<void> {
    const attempt = Number(said.id.split('-')[1]);
    await this.job.report(key, attempt, said);
    await this.settle();
  }

  eventsOf(predictionId: string): JobEvent['type'][] {
    return (this.told.get(predictionId) ?? []).map(({ event }) => event.type);
  }

  lastOf(predictionId: string): JobEvent | undefined {
    return this.told.get(predictionId)?.at(-1)?.event;
  }

  stateOf(key = keyOf('png')): string | undefined {
    const query = 'SELECT state FROM job_task WHERE result_key = ?';
    return this.#sql.exec<{ state: string }>(query, key).toArray()[0]?.state;
  }

  #kill = (): void => undefined;

  async #take(predictionId: string, _key: string, sequence: number, event: JobEvent): Promise<void> {
    this.deliveries++;
    if (this.deaf === 'before') throw new Error('the subscriber is away');
    const told = this.told.get(predictionId) ?? [];
    if ((told.at(-1)?.sequence ?? 0) < sequence) told.push({ sequence, event });
    this.told.set(predictionId, told);
    if (this.deaf === 'after') throw new Error('the answer is lost');
  }
}

/** Runs a test with a bench over storage of its own. */
export function onBench(test: (bench: Bench) => Promise<void>): () => Promise<void> {
  return () =>
    runInDurableObject(env.JOBS.get(env.JOBS.newUniqueId()), (_, state) => test(new Bench(state.storage.sql)));
}
