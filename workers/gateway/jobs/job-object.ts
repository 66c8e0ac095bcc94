/** The object of one RestorationKey: a Job with the runtime's storage, clock and alarm. */
import { DurableObject } from 'cloudflare:workers';
import type { JobReply, JobRequest, Subscription } from './ports.ts';
import type { RemoteState } from '../runners/ports.ts';
import type { DispatchReply } from './dispatch-queue.ts';
import { Job, type JobPorts } from './job.ts';

/** The composition root derives the class that is bound, because only it knows how ports are made of an Env. */
export abstract class RestorationJob extends DurableObject<Env> {
  readonly #job: Job;

  constructor(ctx: DurableObjectState, env: Env, ports: JobPorts) {
    super(ctx, env);
    const { storage } = ctx;
    this.#job = new Job(
      {
        sql: storage.sql,
        now: Date.now,
        // Both are kept by the object's output gate: nothing leaves before they are durable.
        setAlarm: (at) => ctx.waitUntil(storage.setAlarm(at)),
        waitUntil: (work) => ctx.waitUntil(work),
        deleteAll: () => storage.deleteAll(),
      },
      ports,
    );
  }

  obtain(request: JobRequest, waiter?: Subscription): Promise<JobReply> {
    return this.#job.obtain(request, waiter);
  }

  submit(request: JobRequest, subscription: Subscription): { started: boolean } {
    return this.#job.submit(request, subscription);
  }

  leave(resultKey: string, subscriberId: string): void {
    this.#job.leave(resultKey, subscriberId);
  }

  report(resultKey: string, attempt: number, said: RemoteState): Promise<void> {
    return this.#job.report(resultKey, attempt, said);
  }

  dispatch(number: number): Promise<DispatchReply> {
    return this.#job.dispatch(number);
  }

  abandon(): void {
    this.#job.abandon();
  }

  override alarm(): Promise<void> {
    return this.#job.alarm();
  }
}
