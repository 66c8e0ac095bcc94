/**
 * One object for each RestorationKey: it makes sure that one inference serves everybody who asks for it, in whatever
 * format, at whatever moment, and that begun work is finished although whoever asked has gone.
 *
 * Its tasks, one for each encoding, run one after the other. The first finds nothing stored and restores; the next find
 * the master and encode. Work starts within the request that asks (no alarm's delay), is held by waitUntil instead of by
 * the caller, and is watched by an alarm: an object that dies in the middle is woken and goes on from its table.
 */
import { DurableObject } from 'cloudflare:workers';
import { DeblurError, toWireError, type WireError } from '@deblur/shared/errors.ts';
import { JOB_WATCHDOG_MS, RESULT_RETENTION_SECONDS } from '@deblur/shared/limits.ts';
import type { RestoreReport } from '@deblur/shared/runner-api.ts';
import type { JobReply, JobReport, JobRequest, Placement, Restorer, ResultStore } from '../predict/ports.ts';
import { JobTable, type Claim } from './job-table.ts';

export interface JobPorts {
  readonly results: ResultStore;
  readonly restorers: Readonly<Record<Placement, Restorer>>;
}

/** How a task ended, for everybody who waits for it. */
type Outcome =
  | { readonly ok: true; readonly queueMs: number; readonly runMs: number; readonly restore?: RestoreReport }
  | { readonly ok: false; readonly error: WireError };

/** The composition root derives the class that is bound, because only it knows how ports are made of an Env. */
export abstract class RestorationJob extends DurableObject<Env> {
  readonly #ports: JobPorts;
  readonly #table: JobTable;
  /** By ResultKey: who waits for a task of the table. Entries go when their task ends, well or badly. */
  readonly #waiting = new Map<string, PromiseWithResolvers<Outcome>>();
  #draining: Promise<void> | undefined;
  #inferences = 0;

  constructor(ctx: DurableObjectState, env: Env, ports: JobPorts) {
    super(ctx, env);
    this.#ports = ports;
    this.#table = new JobTable(ctx.storage.sql);
    this.#table.recover(Date.now());
  }

  /** Resolves when the result is stored, or with why it could not be made. */
  async obtain(request: JobRequest): Promise<JobReply> {
    const key = request.task.resultKey;
    const known = this.#waiting.get(key);
    const waiter = known ?? Promise.withResolvers<Outcome>();
    const inferencesBefore = this.#inferences;
    if (known === undefined) {
      // Nothing is awaited up to here, so that of a hundred identical requests exactly one comes through this door.
      this.#waiting.set(key, waiter);
      this.#table.create();
      this.#table.enqueue(request, Date.now());
      this.ctx.waitUntil(this.ctx.storage.setAlarm(Date.now() + JOB_WATCHDOG_MS));
    }
    this.ctx.waitUntil(this.#drain());
    const outcome = await waiter.promise;
    if (!outcome.ok) return outcome;
    const { queueMs, runMs, restore } = outcome;
    const ours = known === undefined && restore !== undefined;
    const cache: JobReport['cache'] = ours ? 'miss' : this.#inferences > inferencesBefore ? 'coalesced' : 'hit';
    return { ok: true, report: { cache, queueMs, runMs, ...(restore === undefined ? {} : { restore }) } };
  }

  /** The watchdog: finishes what is left, and forgets the job when its results have expired. */
  override async alarm(): Promise<void> {
    const idleSince = this.#table.idleSince();
    if (idleSince !== null && Date.now() >= expiry(idleSince)) await this.ctx.storage.deleteAll();
    else await this.#drain();
  }

  #drain(): Promise<void> {
    this.#draining ??= this.#runTasks().finally(() => (this.#draining = undefined));
    return this.#draining;
  }

  async #runTasks(): Promise<void> {
    for (let claim = this.#table.claim(Date.now()); claim !== undefined; claim = this.#table.claim(Date.now())) {
      await this.#runTask(claim);
    }
    const idleSince = this.#table.idleSince();
    await this.ctx.storage.setAlarm(idleSince === null ? Date.now() + JOB_WATCHDOG_MS : expiry(idleSince));
  }

  async #runTask(claim: Claim): Promise<void> {
    const started = Date.now();
    const timing = () => ({ queueMs: started - claim.queuedAt, runMs: Date.now() - started });
    const key = claim.request.task.resultKey;
    try {
      const restore = await this.#make(claim.request);
      this.#table.finish(claim, null, Date.now());
      this.#settle(key, { ok: true, ...timing(), ...(restore === undefined ? {} : { restore }) });
    } catch (failure) {
      logFailure(claim, failure);
      const error = toWireError(failure);
      const masterExists = await this.#hasMaster(claim.request);
      // From here on nothing is awaited: who asks again meanwhile is not failed for what happened before.
      this.#table.finish(claim, error, Date.now());
      this.#settle(key, { ok: false, error });
      if (masterExists) return;
      for (const other of this.#table.failQueued(error, Date.now())) this.#settle(other, { ok: false, error });
    }
  }

  /** Makes a result by the cheapest way that there is; a report only when that was an inference. */
  async #make({ task, placement, encodePlacement }: JobRequest): Promise<RestoreReport | undefined> {
    const { results, restorers } = this.#ports;
    if ((await results.head('result', task.resultKey)) !== null) return undefined;
    const metadata = await results.head('master', task.restorationKey);
    if (metadata === null) {
      const report = await restorers[placement].restore(task);
      this.#inferences++;
      return report;
    }
    const { restorationKey, resultKey, encoding } = task;
    const { model, modelVersion } = metadata;
    const inherited = { model, modelVersion, placement: metadata.placement };
    await restorers[encodePlacement].encode({ restorationKey, resultKey, encoding, metadata: inherited });
    return undefined;
  }

  async #hasMaster({ task }: JobRequest): Promise<boolean> {
    return (await this.#ports.results.head('master', task.restorationKey).catch(() => null)) !== null;
  }

  #settle(key: string, outcome: Outcome): void {
    this.#waiting.get(key)?.resolve(outcome);
    this.#waiting.delete(key);
  }
}

const expiry = (idleSince: number): number => idleSince + RESULT_RETENTION_SECONDS * 1000;

/** What the caller is not told: why something broke that is not the picture's fault. */
function logFailure({ request, attempt }: Claim, failure: unknown): void {
  const cause = failure instanceof DeblurError ? failure.cause : failure;
  if (cause === undefined) return;
  const error = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
  const { restorationKey } = request.task;
  console.error(
    JSON.stringify({ level: 'error', event: 'job_failed', restoration_key: restorationKey, attempt, error }),
  );
}
