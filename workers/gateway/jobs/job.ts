/**
 * The job of one RestorationKey: one inference serves everybody who asks for it, in whatever format, at whatever moment,
 * and begun work is finished although whoever asked has gone.
 *
 * Its tasks, one for each encoding, run one after the other. The first finds nothing stored and restores; the next find
 * the master and encode. At the edge a task runs within the object. To a remote runner it is handed over, at once and
 * not through the queue, so that nobody pays a queue's delay while the runner has room; only what the runner refuses waits for
 * a message, whose consumer brings it back at a pace that all jobs share. From then on the runner's callbacks drive
 * it, and the alarm watches: over what is silent, overdue, due, or was cut off in the middle.
 *
 * Every change is a compare-and-set in JobTable; what follows from it (events, waiters) happens in the same turn.
 */
import { deadlineExceeded, runnerUnreachable, toWireError, type WireError } from '@deblur/shared/protocol/errors.ts';
import { JOB_DEADLINE_MS, JOB_WATCHDOG_MS, RESULT_RETENTION_SECONDS } from '@deblur/shared/limits.ts';
import { DurableObject } from 'cloudflare:workers';
import type { RemoteState } from '../runners/ports.ts';
import type { DispatchReply } from './dispatch-queue.ts';
import type { JobHost, JobPorts, JobReply, JobReport, JobRequest, Subscription } from './ports.ts';
import { JobTable } from './job-table.ts';
import { LiveGauge, type NamedJob } from './live-gauge.ts';
import { Outbox, type Subscriber } from './outbox.ts';
import { createTables } from './schema.ts';
import { placementOf, type Task } from './task.ts';
import { TaskRunner } from './task-runner.ts';

/** Nobody is there to hear it: work is canceled when the last one has left. */
const CANCELED: WireError = { code: 'runner_failed', detail: 'The work was canceled, because nobody waited for it.' };

/** The composition root derives the class that is bound, because only it knows how ports are made of an Env. */
export abstract class Job extends DurableObject<Env> {
  readonly #host: JobHost;
  readonly #table: JobTable;
  readonly #outbox: Outbox;
  readonly #runner: TaskRunner;
  readonly #gauge: LiveGauge;
  /** By ResultKey: the requests that wait for a task's end. Whatever else survives the object does so in the tables. */
  readonly #waiting = new Map<string, PromiseWithResolvers<Task>>();

  constructor(ctx: DurableObjectState, env: Env, ports: JobPorts, host: JobHost = hostOf(ctx)) {
    super(ctx, env);
    this.#host = host;
    createTables(host.sql);
    this.#table = new JobTable(host.sql);
    this.#outbox = new Outbox(host.sql, ports.subscribers, host.now);
    const settle = (key: string): void => this.#settle(key);
    const { now, waitUntil } = host;
    this.#gauge = new LiveGauge({ gauge: ports.stats, now, waitUntil, read: () => this.#live() });
    const changed = (): void => this.#gauge.update();
    this.#runner = new TaskRunner({ host, ports, table: this.#table, outbox: this.#outbox, settle, changed });
    this.#runner.recover();
  }

  // ---- Asked by requests, predictions, runners, messages and the alarm ---------------------------

  /** Resolves when the result is stored, or with why it could not be made. */
  async obtain(request: JobRequest, waiter?: Subscription): Promise<JobReply> {
    const key = request.task.resultKey;
    const joinedAt = this.#host.now();
    // Nothing is awaited up to the waiting, so that of a hundred identical requests exactly one starts the work.
    const started = this.#join(request);
    this.#table.want(key, joinedAt + JOB_DEADLINE_MS, waiter);
    const ending = this.#waiting.get(key) ?? Promise.withResolvers<Task>();
    this.#waiting.set(key, ending);
    this.#stir();
    const task = await ending.promise;
    if (task.state === 'succeeded') return { ok: true, report: this.#reportFor(task, { joinedAt, started }) };
    return { ok: false, error: task.error ?? CANCELED };
  }

  submit(request: JobRequest, subscription: Subscription): { started: boolean } {
    const key = request.task.resultKey;
    const { subscriberId } = subscription;
    if (this.#hasTables() && this.#outbox.has(key, subscriberId)) return { started: false };
    const started = this.#join(request);
    this.#outbox.join(key, subscription, started);
    this.#table.unwant(key, subscriberId);
    const startedAt = this.#table.get(key)?.processingAt ?? null;
    if (startedAt !== null) this.#outbox.announce(key, () => ({ type: 'processing', startedAt }), subscriberId);
    this.#stir();
    return { started };
  }

  leave(key: string, subscriberId: string): void {
    if (!this.#hasTables()) return;
    this.#outbox.leave(key, subscriberId);
    this.#table.unwant(key, subscriberId);
    const task = this.#table.get(key);
    if (task !== undefined && !this.#outbox.isFollowed(key) && this.#table.cancel(key, this.#host.now())) {
      this.#runner.count(task, 'canceled');
      this.#runner.stop(task);
      this.#settle(key);
    }
    this.#stir();
  }

  /** A callback of the runner, on the attempt that its URL names. */
  async report(key: string, attempt: number, said: RemoteState): Promise<void> {
    if (!this.#hasTables()) return this.#runner.stopStray(undefined, said);
    await this.#runner.hear(key, attempt, said, true);
    this.#stir();
  }

  /** A message has come for what was refused. One that was given up for lost is told that it is not needed. */
  async dispatch(number: number): Promise<DispatchReply> {
    if (!this.#hasTables() || number < this.#table.messages()) return { refused: false };
    this.#table.wake(this.#host.now());
    this.#stir();
    await this.#runner.drain();
    const refused = this.#table.waiting() !== undefined;
    const retryAfterSeconds = this.#runner.retryAfterSeconds;
    return { refused, ...(refused && retryAfterSeconds !== undefined ? { retryAfterSeconds } : {}) };
  }

  /** Its message broke every consumer: whoever waits is told, instead of waiting for ever. */
  abandon(): void {
    if (!this.#hasTables()) return;
    const error: WireError = toWireError(runnerUnreachable());
    for (const key of this.#table.abandon(error, this.#host.now())) this.#settle(key);
    this.#stir();
  }

  override async alarm(): Promise<void> {
    if (!this.#hasTables()) return;
    const now = this.#host.now();
    if (this.#table.nextAt(now) === null && now >= this.#forgetAt()) return this.#host.deleteAll();
    this.#expire(now);
    const remote = this.#table.remote();
    if (remote !== undefined && remote.dueAt <= now) await this.#runner.look(remote);
    const messageIsLost = this.#table.missMessage(now);
    this.#stir();
    await this.#runner.drain();
    const waiting = messageIsLost ? this.#table.waiting() : undefined;
    if (waiting !== undefined) await this.#runner.sendMessage(waiting);
  }

  /** Sets everything going that is due, outside the caller's time, and the alarm for what is not. */
  #stir(): void {
    // Should the object die before it knows better.
    this.#host.setAlarm(this.#host.now() + JOB_WATCHDOG_MS);
    const schedule = (): void => this.#schedule();
    const done = this.#runner
      .drain()
      .finally(schedule)
      .then(() => this.#outbox.deliver());
    this.#host.waitUntil(Promise.allSettled([this.#outbox.deliver(), done]).then(schedule));
  }

  #expire(now: number): void {
    const error: WireError = toWireError(deadlineExceeded());
    for (const task of this.#table.overdue(now)) {
      if (!this.#table.expire(task.key, error, now)) continue;
      this.#runner.count(task, error.code);
      this.#runner.stop(task);
      this.#settle(task.key);
    }
  }

  /** Tells everybody how a task ended. */
  #settle(key: string): void {
    const task = this.#table.get(key);
    if (task === undefined) return;
    this.#table.unwant(key);
    this.#waiting.get(key)?.resolve(task);
    this.#waiting.delete(key);
    this.#outbox.announce(key, (subscriber) =>
      task.state === 'succeeded'
        ? { type: 'succeeded', report: this.#reportFor(task, subscriber) }
        : { type: 'failed', error: task.error ?? CANCELED },
    );
  }

  #reportFor(task: Task, { joinedAt, started }: Pick<Subscriber, 'joinedAt' | 'started'>): JobReport {
    const { report, queuedAt, claimedAt, finishedAt } = task;
    const cache = started && report !== null ? 'miss' : this.#table.inferredSince(joinedAt) ? 'coalesced' : 'hit';
    const timing = { queueMs: claimedAt - queuedAt, runMs: finishedAt - claimedAt };
    return { cache, ...timing, ...(report === null ? {} : { restore: report }) };
  }

  // ---- Memory ------------------------------------------------------------------------------------

  #join(request: JobRequest): boolean {
    createTables(this.#host.sql);
    return this.#table.join(request, this.#host.now());
  }

  /** Not after everything was deleted, in an object that is still in memory. */
  #hasTables(): boolean {
    const query = `SELECT 1 FROM sqlite_master WHERE name = 'job_task'`;
    return this.#host.sql.exec(query).toArray().length > 0;
  }

  /** What the gauge of jobs shows of this one. */
  #live(): NamedJob | null {
    const task = this.#hasTables() ? this.#table.live() : undefined;
    if (task === undefined) return null;
    const { restorationKey } = task.request.task;
    return { id: restorationKey, state: task.state === 'running' ? 'running' : 'queued', placement: placementOf(task) };
  }

  #forgetAt(): number {
    return this.#table.endedAt() + RESULT_RETENTION_SECONDS * 1000;
  }

  #schedule(): void {
    if (!this.#hasTables()) return;
    this.#gauge.update();
    const now = this.#host.now();
    const next = [this.#table.nextAt(now), this.#outbox.nextAt(), this.#gauge.nextAt()].filter((at) => at !== null);
    this.#host.setAlarm(Math.max(now, next.length === 0 ? this.#forgetAt() : Math.min(...next)));
  }
}

/** The runtime's storage, clock and alarm. */
function hostOf(ctx: DurableObjectState): JobHost {
  const { storage } = ctx;
  return {
    sql: storage.sql,
    now: Date.now,
    // Both are kept by the object's output gate: nothing leaves before they are durable.
    setAlarm: (at) => ctx.waitUntil(storage.setAlarm(at)),
    waitUntil: (work) => ctx.waitUntil(work),
    deleteAll: () => storage.deleteAll(),
  };
}
