/** The way from a request, a prediction or a callback to the object of its RestorationKey. */
import { RETRY_AFTER_SECONDS } from '@deblur/shared/limits.ts';
import { fromWireError } from '@deblur/shared/protocol/errors.ts';
import { callObject, type Namespace, type Stub } from '../call-object.ts';
import type { CallbackAddress, RemoteState } from '../runners/ports.ts';
import type { Job } from './job.ts';
import type { JobReport, JobRequest, Jobs, Subscription } from './ports.ts';

export class DurableJobs implements Jobs {
  readonly #namespace: Namespace<Job>;

  constructor(namespace: Namespace<Job>) {
    this.#namespace = namespace;
  }

  async obtain(request: JobRequest, waiter?: Subscription): Promise<JobReport> {
    const reply = await this.#call(request.task.restorationKey, (job) => job.obtain(request, waiter));
    if (reply.ok) return reply.report;
    const { code } = reply.error;
    // The caller is told when to try again, if the runner is full or down.
    const isPassing = code === 'runner_busy' || code === 'runner_unavailable';
    throw fromWireError(reply.error, isPassing ? { retryAfterSeconds: RETRY_AFTER_SECONDS } : {});
  }

  submit(request: JobRequest, subscription: Subscription): Promise<{ readonly started: boolean }> {
    return this.#call(request.task.restorationKey, (job) => job.submit(request, subscription));
  }

  leave(restorationKey: string, resultKey: string, subscriberId: string): Promise<void> {
    return this.#call(restorationKey, (job) => job.leave(resultKey, subscriberId));
  }

  report({ restorationKey, resultKey, attempt }: CallbackAddress, said: RemoteState): Promise<void> {
    return this.#call(restorationKey, (job) => job.report(resultKey, attempt, said));
  }

  #call<T>(restorationKey: string, call: (job: Stub<Job>) => Promise<T>): Promise<T> {
    return callObject(this.#namespace, restorationKey, 'job', call);
  }
}
