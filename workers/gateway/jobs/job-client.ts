/** The way from a request, a prediction or a callback to the object of its RestorationKey. */
import { DeblurError, fromWireError } from '@deblur/shared/protocol/errors.ts';
import { RETRY_AFTER_SECONDS } from '@deblur/shared/limits.ts';
import type { CallbackAddress, RemoteState } from '../runners/ports.ts';
import type { JobReply, JobReport, JobRequest, Jobs, Subscription } from './ports.ts';

/** The methods of the bound object that are called from outside. */
interface JobStub {
  obtain(request: JobRequest, waiter?: Subscription): Promise<JobReply>;
  submit(request: JobRequest, subscription: Subscription): Promise<{ readonly started: boolean }>;
  leave(resultKey: string, subscriberId: string): Promise<void>;
  report(resultKey: string, attempt: number, said: RemoteState): Promise<void>;
}

/** What workerd writes on errors of Durable Objects. */
interface ObjectError extends Error {
  readonly retryable?: boolean;
  readonly overloaded?: boolean;
}

const MAX_ATTEMPTS = 2;

export class DurableJobs implements Jobs {
  readonly #stubOf: (restorationKey: string) => JobStub;

  /** @param stubOf gives a new stub each time: after an error the old one stays broken */
  constructor(stubOf: (restorationKey: string) => JobStub) {
    this.#stubOf = stubOf;
  }

  async obtain(request: JobRequest, waiter?: Subscription): Promise<JobReport> {
    const reply = await this.#call(request.task.restorationKey, (job) => job.obtain(request, waiter));
    if (reply.ok) return reply.report;
    const { code, detail } = reply.error;
    // A runner that is full or down is worth another try, and the caller is told when.
    if (code === 'runner_busy' || code === 'runner_unavailable') {
      throw new DeblurError(code, detail, { retryAfterSeconds: RETRY_AFTER_SECONDS });
    }
    throw fromWireError(reply.error);
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

  /** All that is asked of a job is idempotent, so that a deployment or a crash in the middle is no reason to fail. */
  async #call<T>(restorationKey: string, ask: (job: JobStub) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await ask(this.#stubOf(restorationKey));
      } catch (error) {
        const { retryable, overloaded } = error as ObjectError;
        if (attempt === MAX_ATTEMPTS || retryable !== true || overloaded === true) {
          throw new DeblurError('runner_unavailable', 'The job could not be reached.', {
            retryAfterSeconds: RETRY_AFTER_SECONDS,
            cause: error,
          });
        }
      }
    }
  }
}
