/**
 * The work of a job: its tasks, one after the other, each until it has ended, waits, or is a remote runner's; and what
 * runners say of them afterwards. Every change is a compare-and-set in JobTable; `settle` is called in the same turn.
 */
import {
  fromWireError,
  gone,
  hiddenCause,
  runnerFailed,
  toWireError,
  type DeblurError,
} from '@deblur/shared/protocol/errors.ts';
import { DISPATCH_WATCHDOG_MS, JOB_RETRY_DELAY_MS, JOB_WATCHDOG_MS } from '@deblur/shared/limits.ts';
import type { RestoreReport } from '@deblur/shared/protocol/runner-api.ts';
import type { JobHost, JobPorts, JobRequest } from './ports.ts';
import type { RemoteState, RunnerOperation } from '../runners/ports.ts';
import type { JobTable } from './job-table.ts';
import type { Outbox } from './outbox.ts';
import { placementOf, type Task } from './task.ts';

export interface TaskRunnerContext {
  readonly host: JobHost;
  readonly ports: JobPorts;
  readonly table: JobTable;
  readonly outbox: Outbox;
  /** Tells everybody how a task ended. */
  readonly settle: (key: string) => void;
  /** A task is worked on, or waits again. */
  readonly changed: () => void;
}

/** The runner had no room, or was not there: worth another try, whatever the picture. */
const REFUSALS: readonly string[] = ['runner_busy', 'runner_unavailable'];

/** The runner or our own storage broke: worth a bounded number of tries, because the picture may be what breaks it. */
const FAULTS: readonly string[] = ['runner_failed', 'internal'];

const FIRST_MESSAGE_SECONDS = 1;

export class TaskRunner {
  readonly #host: JobHost;
  readonly #ports: JobPorts;
  readonly #table: JobTable;
  readonly #outbox: Outbox;
  readonly #settle: (key: string) => void;
  readonly #changed: () => void;
  #draining: Promise<void> | undefined;
  #retryAfterSeconds: number | undefined;

  constructor({ host, ports, table, outbox, settle, changed }: TaskRunnerContext) {
    this.#host = host;
    this.#ports = ports;
    this.#table = table;
    this.#outbox = outbox;
    this.#settle = settle;
    this.#changed = changed;
  }

  /** For how long the runner asked when it refused work last. */
  get retryAfterSeconds(): number | undefined {
    return this.#retryAfterSeconds;
  }

  /** Begins what is due, until nothing is; callers at the same time share it. */
  drain(): Promise<void> {
    // A turn later, so that the promise is there before the work can end.
    this.#draining ??= Promise.resolve()
      .then(() => this.#runTasks())
      .catch((error: unknown) => {
        // Not the work's failure, which is a state of its task, but ours: as if the object had died in the middle.
        this.#draining = undefined;
        this.recover();
        throw error;
      });
    return this.#draining;
  }

  async #runTasks(): Promise<void> {
    for (let task = this.#claim(); task !== undefined; task = this.#claim()) await this.#run(task);
  }

  #claim(): Task | undefined {
    const task = this.#table.claim(this.#host.now());
    // In the same turn: whoever joins from now on starts a new drain.
    if (task === undefined) this.#draining = undefined;
    else this.#changed();
    return task;
  }

  /** One task, until it has ended, waits, or is a remote runner's. Never rejects. */
  async #run(claimed: Task): Promise<void> {
    try {
      const work = await this.#workFor(claimed.request);
      if (work === undefined) return this.#succeed(claimed.key, claimed.attempt, null);
      const placement = work.operation === 'restore' ? claimed.request.placement : claimed.request.encodePlacement;
      await (placement === 'edge' ? this.#runHere(claimed, work) : this.#handOver(claimed, work));
    } catch (failure) {
      await this.#fail(claimed.key, claimed.attempt, failure);
    }
  }

  /**
   * The cheapest way to the result; undefined when it is stored. A result is stored after its master, so that without a
   * master there is nothing to look for.
   */
  async #workFor({ task }: JobRequest): Promise<RunnerOperation | undefined> {
    const { results } = this.#ports;
    const { restorationKey, resultKey, encoding, replaces } = task;
    if (replaces !== undefined) await results.unerase('result', resultKey, replaces);
    const master = await results.head('master', restorationKey);
    if (master?.kind === 'erased') await results.unerase('master', restorationKey, master.version);
    if (master?.kind !== 'stored') return { operation: 'restore', task };
    const found = await results.head('result', resultKey);
    if (found?.kind === 'erased') throw gone('result');
    if (found !== null) return undefined;
    const { model, modelVersion, placement } = master;
    const restoration = task.restoration ?? master.restoration;
    const metadata = { model, modelVersion, placement, restoration };
    return { operation: 'encode', task: { restorationKey, resultKey, encoding, metadata } };
  }

  async #runHere(claimed: Task, work: RunnerOperation): Promise<void> {
    const { key } = claimed;
    const attempt = claimed.attempt + 1;
    if (!this.#table.begin(claimed, work.operation, null)) return;
    this.#processing(key, attempt);
    const { edge } = this.#ports.restorers;
    try {
      const report = work.operation === 'restore' ? await edge.restore(work.task) : await edge.encode(work.task);
      this.#succeed(key, attempt, report ?? null);
    } catch (failure) {
      await this.#fail(key, attempt, failure);
    }
  }

  async #handOver(claimed: Task, work: RunnerOperation): Promise<void> {
    const { runner } = this.#ports.restorers;
    // Perhaps the runner has it already: an answer was lost, or our object died before it came.
    const known = claimed.runnerPredictionId === null ? null : await runner.look(claimed.runnerPredictionId);
    if (known !== null && known.status !== 'failed' && known.status !== 'canceled') {
      return this.hear(claimed.key, claimed.attempt, known, false);
    }
    const attempt = claimed.attempt + 1;
    if (!this.#table.begin(claimed, work.operation, runner.idOf(work, attempt))) return;
    try {
      await this.hear(claimed.key, attempt, await runner.begin(work, attempt, claimed.request.trace), false);
    } catch (failure) {
      await this.#fail(claimed.key, attempt, failure);
    }
  }

  /** The lease has run out, or the runner does not call back: it is asked. */
  async look({ key, attempt, runnerPredictionId }: Task): Promise<void> {
    try {
      const said = runnerPredictionId === null ? null : await this.#ports.restorers.runner.look(runnerPredictionId);
      if (said === null) throw runnerFailed('broken');
      await this.hear(key, attempt, said, false);
    } catch (failure) {
      await this.#fail(key, attempt, failure);
    }
  }

  /** What a runner says of an attempt, by answer, poll or callback: in any order, late, or twice. */
  async hear(key: string, attempt: number, said: RemoteState, byCallback: boolean): Promise<void> {
    switch (said.status) {
      case 'starting':
      case 'processing': {
        const heard = this.#table.heard(key, attempt, { id: said.id, byCallback }, this.#host.now());
        if (!heard) return this.stopStray(this.#table.get(key), said, attempt);
        if (said.status === 'processing') this.#processing(key, attempt);
        const { progress } = said;
        if (progress !== undefined) this.#outbox.announce(key, () => ({ type: 'progress', ...progress }));
        return;
      }
      case 'succeeded': {
        // A runner's word that it has uploaded is not the upload.
        const found = await this.#ports.results.head('result', key);
        if (found?.kind === 'stored') return this.#succeed(key, attempt, said.report);
        return this.#fail(key, attempt, found === null ? runnerFailed('result') : gone('result'));
      }
      case 'failed':
        return this.#fail(key, attempt, fromWireError(said.error));
      case 'canceled':
        // Not by us, or the task would not be running any more: a runner that is being drained does so.
        return this.#fail(key, attempt, runnerFailed('broken'));
    }
  }

  // ---- Ends of an attempt ------------------------------------------------------------------------

  /** The result is stored. By whichever attempt: another one that is still at it is stopped. */
  #succeed(key: string, attempt: number, report: RestoreReport | null): void {
    const task = this.#table.get(key);
    const inference = task?.operation === 'restore' ? report : null;
    if (!this.#table.succeed(key, inference, this.#host.now())) return;
    if (task !== undefined && report !== null) this.count(task, 'succeeded');
    if (task !== undefined && task.attempt !== attempt) this.stop(task);
    this.#settle(key);
  }

  /** Counts the end of what a remote runner had; the edge's calls are counted where they are made. */
  count(task: Task, outcome: string): void {
    const { operation } = task;
    const placement = placementOf(task);
    if (operation === null || task.state !== 'running' || placement === 'edge') return;
    const { stats } = this.#ports;
    const name = operation === 'restore' ? 'deblur_restorations_total' : 'deblur_encodings_total';
    stats.count(name, { placement, outcome });
    if (operation === 'encode' || outcome !== 'succeeded') return;
    const seconds = (this.#host.now() - (task.processingAt ?? task.claimedAt)) / 1000;
    stats.count('deblur_restoration_seconds_total', { placement }, seconds);
  }

  async #fail(key: string, attempt: number, failure: unknown): Promise<void> {
    logFailure(key, attempt, failure);
    const error = toWireError(failure);
    const task = this.#table.get(key);
    if (task === undefined) return;
    if (REFUSALS.includes(error.code) && this.#mayWait(task)) return this.#refuse(task, attempt, failure);
    const { now } = this.#host;
    const dueAt = (failures: number) => now() + (failures > 1 ? JOB_RETRY_DELAY_MS * (failures - 1) : 0);
    if (FAULTS.includes(error.code) && this.#table.retry(key, attempt, dueAt)) return;
    const masterExists = await this.#hasMaster(task.request);
    // From here on nothing is awaited: who asks again meanwhile is not failed for what happened before.
    if (!this.#table.fail(key, attempt, error, now())) return;
    this.count(task, error.code);
    this.#settle(key);
    if (masterExists) return;
    for (const other of this.#table.failQueued(error, now())) this.#settle(other);
  }

  /** Back into the queue. Its one message is sent here; while its work is refused again, its consumer keeps it going. */
  async #refuse(task: Task, attempt: number, failure: unknown): Promise<void> {
    const { code, retryAfterSeconds } = failure as DeblurError;
    const messageIsUnderWay = this.#table.messages() > 0;
    const dueAt = this.#host.now() + DISPATCH_WATCHDOG_MS + (retryAfterSeconds ?? 0) * 1000;
    if (!this.#table.refuse(task.key, attempt, dueAt, code !== 'runner_busy')) return;
    this.#retryAfterSeconds = retryAfterSeconds;
    if (!messageIsUnderWay) await this.sendMessage(task);
  }

  /** Its consumer brings back what the job has to do. */
  async sendMessage(task: Task): Promise<void> {
    const { restorationKey } = task.request.task;
    const message = { restorationKey, placement: placementOf(task), number: this.#table.messages() };
    await this.#ports.callBack(message, this.#retryAfterSeconds ?? FIRST_MESSAGE_SECONDS).catch((error: unknown) => {
      logFailure(task.key, task.attempt, error);
      // Then the alarm brings it back.
      this.#table.wake(this.#host.now() + JOB_WATCHDOG_MS);
    });
  }

  /** At the edge a request is refused at once, because its caller can come back; a prediction, which cannot, waits. */
  #mayWait(task: Task): boolean {
    return placementOf(task) === 'runner' || this.#outbox.isFollowed(task.key);
  }

  /** Takes up what an object left in the middle. */
  recover(): void {
    for (const key of this.#table.recover(this.#host.now())) this.#settle(key);
  }

  #processing(key: string, attempt: number): void {
    const startedAt = this.#host.now();
    if (!this.#table.processing(key, attempt, startedAt)) return;
    this.#outbox.announce(key, () => ({ type: 'processing', startedAt }));
    this.#host.waitUntil(this.#outbox.deliver());
  }

  /** Ends what a remote runner has of a task. It is only told: if it does not hear, its next callback is told again. */
  stop({ runnerPredictionId }: Task): void {
    if (runnerPredictionId === null) return;
    const told = this.#ports.restorers.runner.cancel(runnerPredictionId);
    this.#host.waitUntil(told.catch((error: unknown) => logFailure(runnerPredictionId, 0, error)));
  }

  /** A runner is at work on what has ended, or on an attempt that was given up. */
  stopStray(task: Task | undefined, said: RemoteState, attempt?: number): void {
    if (task?.state === 'succeeded' && task.attempt === attempt) return;
    if (said.status !== 'starting' && said.status !== 'processing') return;
    this.#host.waitUntil(this.#ports.restorers.runner.cancel(said.id).catch(() => undefined));
  }

  async #hasMaster({ task }: JobRequest): Promise<boolean> {
    const master = await this.#ports.results.head('master', task.restorationKey).catch(() => null);
    return master?.kind === 'stored';
  }
}

function logFailure(key: string, attempt: number, failure: unknown): void {
  const error = hiddenCause(failure);
  if (error === undefined) return;
  console.error(JSON.stringify({ level: 'error', event: 'job_failed', result_key: key, attempt, error }));
}
