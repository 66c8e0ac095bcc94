/**
 * One object for each prediction: it fetches the source, joins the job, hears from it, keeps the deadline, and remembers.
 *
 * All of its state is its table's, so that whoever is evicted or dies in the middle goes on from there; only those who
 * wait for a change are held in memory, and they ask again. Work is begun at once, is held by waitUntil instead of by the
 * caller, and is watched by the alarm: one for everything that has a time.
 */
import { DurableObject } from 'cloudflare:workers';
import {
  DeblurError,
  gaveUp,
  hiddenCause,
  internalError,
  isTemporary,
  serviceUnavailable,
  toWireError,
} from '@deblur/shared/protocol/errors.ts';
import {
  JOB_CALL_TIMEOUT_MS,
  JOB_LEAVE_MAX_ATTEMPTS,
  PREDICTION_POLL_MS,
  PREDICTION_RETRY_MAX_MS,
  PREDICTION_RETRY_MS,
  PREDICTION_WATCHDOG_MS,
  RETRY_AFTER_SECONDS,
  SOURCE_FETCH_MAX_ATTEMPTS,
} from '@deblur/shared/limits.ts';
import { isTerminal, type WebhookEvent } from '@deblur/shared/protocol/prediction.ts';
import type { Delivery, DeliveryQueue, ReplayOutcome } from '../webhooks/delivery-ports.ts';
import type { JobEvent, JobReport, Jobs } from '../jobs/ports.ts';
import type { ResultStore } from '../results/result-store.ts';
import type { Placement } from '../results/stored-result.ts';
import { predictionName } from './prediction-id.ts';
import type { PredictionCommand, PredictionSnapshot } from './ports.ts';
import { presentPrediction } from './present-prediction.ts';
import type { Counts } from '../metrics/ports.ts';
import { withTimeout } from '../with-timeout.ts';
import { deliveryOf } from './delivery-event.ts';
import { DEADLINE_EXCEEDED, HIT, measured, RESULT_ERASED, success } from './outcome.ts';
import { PredictionTable, type Ending, type PredictionState } from './prediction-table.ts';
import { prepareSource, type PrepareSourcePorts } from './prepare-source.ts';
import { dataRemovedAt, expiresAt, nextDue } from './timeline.ts';
import { Watchers } from './watchers.ts';

export interface PredictionPorts extends PrepareSourcePorts {
  readonly results: ResultStore;
  readonly jobs: Pick<Jobs, 'submit' | 'leave'>;
  readonly stats: Counts;
  /** Webhook deliveries in this object's storage; whose they are is known once something is sent. */
  readonly deliveries: (sql: SqlStorage, owner: () => DeliveryOwner) => DeliveryQueue;
}

/** Whose the messages are. */
export type DeliveryOwner = Pick<PredictionState, 'tenantId' | 'trace'>;

/** Failures travel as values, because exceptions lose their class over RPC. */
export type CreateReply =
  | { readonly outcome: 'created' | 'exists'; readonly snapshot: PredictionSnapshot }
  /** The id belongs to another request. */
  | { readonly outcome: 'conflict' };

/** Joining is tried until the deadline: a queue that is full for an hour loses nothing. */
const MAX_ATTEMPTS: Readonly<Record<PredictionState['work'], number>> = {
  fetch: SOURCE_FETCH_MAX_ATTEMPTS,
  submit: Infinity,
  joined: 0,
  leave: JOB_LEAVE_MAX_ATTEMPTS,
  done: 0,
};

type Step = (state: PredictionState) => Promise<void>;

/** The composition root derives the class that is bound, because only it knows how ports are made of an Env. */
export abstract class PredictionResource extends DurableObject<Env> {
  readonly #ports: PredictionPorts;
  readonly #table: PredictionTable;
  /** The place of the webhook deliveries: told of each event, run by the alarm. */
  readonly #deliveries: DeliveryQueue;
  readonly #watchers = new Watchers();
  #fetching: AbortController | undefined;
  #advancing: Promise<void> = Promise.resolve();

  constructor(ctx: DurableObjectState, env: Env, ports: PredictionPorts) {
    super(ctx, env);
    this.#ports = ports;
    this.#table = new PredictionTable(ctx.storage.sql);
    this.#table.recover();
    this.#deliveries = ports.deliveries(ctx.storage.sql, () => this.#state());
  }

  // ---- For the requests ------------------------------------------------------------------------

  async create(command: PredictionCommand): Promise<CreateReply> {
    const created = this.#table.insert(command, Date.now());
    const state = this.#state();
    if (!created) return met(state, command.fingerprint);
    const { source } = command;
    const hit = source.kind === 'planned' ? source.result : null;
    if (hit !== null) this.#succeed(state, HIT, hit.placement);
    // Before it is answered: what was accepted is not forgotten.
    await this.#schedule();
    this.#advance();
    return { outcome: 'created', snapshot: snapshotOf(this.#state()) };
  }

  /** What a create would meet; null: nothing. */
  find(fingerprint: string): CreateReply | null {
    const state = this.#table.read();
    return state === undefined ? null : met(state, fingerprint);
  }

  /** Null when there is no such prediction. */
  read(): PredictionSnapshot | null {
    const state = this.#table.read();
    return state === undefined ? null : snapshotOf(state);
  }

  /** As Predictions.next, for at most PREDICTION_POLL_MS. */
  async next(after: number | null, ms: number): Promise<PredictionSnapshot | null> {
    const until = Date.now() + Math.min(ms, PREDICTION_POLL_MS);
    for (;;) {
      const snapshot = this.read();
      const remaining = until - Date.now();
      if (snapshot === null || remaining <= 0 || isNews(snapshot, after)) return snapshot;
      await this.#watchers.change(remaining);
    }
  }

  cancel(): PredictionSnapshot | null {
    const state = this.#table.read();
    if (state === undefined) return null;
    this.#end(state, { status: 'canceled', error: null });
    return this.read();
  }

  /** Null when there is no such prediction. */
  deliveries(): readonly Delivery[] | null {
    return this.#table.read() === undefined ? null : this.#deliveries.list();
  }

  async replay(n: number): Promise<ReplayOutcome | null> {
    if (this.#table.read() === undefined) return null;
    const replayed = this.#deliveries.replay(n, Date.now());
    await this.#schedule();
    return replayed;
  }

  // ---- For the job -----------------------------------------------------------------------------

  /**
   * What the job says. Duplicates and what was overtaken change nothing; an end counts whenever it comes first, because
   * nothing would come after it.
   */
  async onJobEvent(resultKey: string, sequence: number, event: JobEvent): Promise<void> {
    const state = this.#table.read();
    // Expired, or of a job that is not ours: acknowledged, so that it is not sent for ever.
    if (state === undefined || state.resultKey !== resultKey) return;
    if (event.type === 'processing') {
      if (this.#table.begin(sequence, event.startedAt)) this.#changed('start');
    } else if (event.type === 'progress') {
      const { started, counted } = this.#table.progress(sequence, event.done, event.total, Date.now());
      if (started) this.#changed('start');
      if (counted) this.#changed('logs');
    } else if (event.type === 'failed') {
      this.#end(state, { status: 'failed', error: event.error }, 'done');
    } else {
      const stored = await this.#ports.results.head('result', resultKey);
      if (stored?.kind !== 'stored') this.#end(state, { status: 'failed', error: RESULT_ERASED }, 'done');
      else this.#succeed(this.#state(), event.report, stored.placement);
    }
    // An end schedules by itself, and progress has no time of its own; only deliveries have.
    if (state.webhook !== null) await this.#schedule();
  }

  // ---- Time ------------------------------------------------------------------------------------

  override async alarm(): Promise<void> {
    const state = this.#table.read();
    if (state === undefined) return;
    const now = Date.now();
    if (now >= expiresAt(state)) return this.ctx.storage.deleteAll();
    if (!isTerminal(state.status) && now >= state.deadlineAt) {
      this.#end(state, { status: 'failed', error: DEADLINE_EXCEEDED });
    }
    const withoutData = now >= dataRemovedAt(state);
    if (withoutData) this.#table.removeData();
    await this.#deliveries.runDue(now);
    // Each time: what was still to be sent when the data went is over only later.
    if (withoutData) this.#deliveries.removeBodies();
    await this.#advance();
  }

  /** One alarm, for whatever comes first. */
  async #schedule(): Promise<void> {
    const state = this.#table.read();
    if (state === undefined) return;
    const delivery = this.#deliveries.nextAttemptAt() ?? Infinity;
    await this.ctx.storage.setAlarm(Math.min(nextDue(state, Date.now()), delivery));
  }

  // ---- Work ------------------------------------------------------------------------------------

  /** Does what is due, after whatever is being done: never two steps at once, never one forgotten. */
  #advance(): Promise<void> {
    this.#advancing = this.#advancing.then(() => this.#work()).catch(logFailure);
    this.ctx.waitUntil(this.#advancing);
    return this.#advancing;
  }

  async #work(): Promise<void> {
    for (let state = this.#table.read(); state !== undefined; state = this.#table.read()) {
      const step = this.#steps[state.work];
      if (step === undefined || (state.retryAt ?? 0) > Date.now()) break;
      const attempt = state.attempt + 1;
      this.#table.attempt(state.work, Date.now() + PREDICTION_WATCHDOG_MS);
      await this.#schedule();
      try {
        if (attempt > MAX_ATTEMPTS[state.work]) throw gaveUp(MAX_ATTEMPTS[state.work], 'its object ended');
        await step(state);
      } catch (error) {
        this.#failed(state.work, attempt, error);
      }
    }
    await this.#schedule();
  }

  readonly #steps: Partial<Record<PredictionState['work'], Step>> = {
    fetch: async (state) => {
      this.#fetching = new AbortController();
      const { job, megapixels, storedPlacement } = await prepareSource(state, this.#ports, this.#fetching.signal);
      if (!this.#table.plan(job, megapixels)) return;
      if (storedPlacement !== null) this.#succeed(this.#state(), HIT, storedPlacement);
      else this.#watchers.wake();
    },
    submit: async ({ job, tenantId, id, deadlineAt }) => {
      if (job === null) throw internalError();
      const subscriber = { subscriberId: predictionName(tenantId, id), deadlineAt };
      await withTimeout(this.#ports.jobs.submit(job, subscriber), JOB_CALL_TIMEOUT_MS, unreachable);
      this.#table.proceed('submit', 'joined');
    },
    leave: async ({ job, tenantId, id }) => {
      if (job !== null) {
        const { restorationKey, resultKey } = job.task;
        const left = this.#ports.jobs.leave(restorationKey, resultKey, predictionName(tenantId, id));
        await withTimeout(left, JOB_CALL_TIMEOUT_MS, unreachable);
      }
      this.#table.proceed('leave', 'done');
    },
  };

  /** Tries again what may pass; what will not, and what has been tried often enough, ends the prediction. */
  #failed(work: PredictionState['work'], attempt: number, error: unknown): void {
    const state = this.#table.read();
    if (state === undefined || state.work !== work) return;
    // What has no name is our own stumble, the store's for one.
    const isUnpaid = error instanceof DeblurError && error.code === 'rate_limited';
    const mayPass = work !== 'fetch' || (isTemporary(error) && !isUnpaid) || !(error instanceof DeblurError);
    if (mayPass && attempt < MAX_ATTEMPTS[work]) {
      const pause = Math.min(PREDICTION_RETRY_MS * 2 ** (attempt - 1), PREDICTION_RETRY_MAX_MS);
      this.#table.retry(work, Date.now() + pause);
      return;
    }
    logFailure(error);
    // A job that cannot be left ends by itself.
    if (work === 'leave') this.#table.proceed('leave', 'done');
    else this.#end(state, { status: 'failed', error: toWireError(error) });
  }

  // ---- Ends ------------------------------------------------------------------------------------

  #succeed(state: PredictionState, report: JobReport, placement: Placement): void {
    const ended = this.#end(state, success(state, report, placement, Date.now()), 'done');
    if (ended) this.#ports.stats.count('deblur_results_total', { cache: report.cache });
  }

  /**
   * @param work what is left to do; when it is not said, the job is left if it was ever asked
   * @returns false when it had ended already
   */
  #end(
    state: PredictionState,
    ending: Omit<Ending, 'metrics'> & Partial<Ending>,
    work: 'leave' | 'done' = state.work === 'submit' || state.work === 'joined' ? 'leave' : 'done',
  ): boolean {
    const now = Date.now();
    if (!this.#table.end(measured(state, ending, now), work, now)) return false;
    this.#fetching?.abort(new Error('the prediction has ended'));
    if (ending.status === 'succeeded') this.#changed('output');
    this.#changed('completed');
    this.#advance();
    return true;
  }

  // ---- Who is told -----------------------------------------------------------------------------

  #changed(event: WebhookEvent): void {
    this.#watchers.wake();
    const now = Date.now();
    const delivery = deliveryOf(this.#state(), event, now);
    if (delivery !== null) this.#deliveries.enqueue(delivery, now);
  }

  #state(): PredictionState {
    const state = this.#table.read();
    if (state === undefined) throw new Error('the prediction is not there');
    return state;
  }
}

const unreachable = (): DeblurError => serviceUnavailable('job', RETRY_AFTER_SECONDS);

const isNews = ({ revision, prediction }: PredictionSnapshot, after: number | null): boolean =>
  isTerminal(prediction.status) || (after !== null && revision > after);

/** What a create with this fingerprint is answered with by what is there. */
function met(state: PredictionState, fingerprint: string): CreateReply {
  if (state.fingerprint !== fingerprint) return { outcome: 'conflict' };
  return { outcome: 'exists', snapshot: snapshotOf(state) };
}

function snapshotOf(state: PredictionState): PredictionSnapshot {
  const { revision, startedRevision } = state;
  return { revision, startedRevision, prediction: presentPrediction(state) };
}

function logFailure(failure: unknown): void {
  const error = hiddenCause(failure);
  if (error === undefined) return;
  console.error(JSON.stringify({ level: 'error', event: 'prediction_failed', error }));
}
