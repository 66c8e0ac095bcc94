/** The way from a request to the object of its RestorationKey. */
import { DeblurError, fromWireError, toWireError } from '@deblur/shared/errors.ts';
import { RETRY_AFTER_SECONDS } from '@deblur/shared/limits.ts';
import type { JobEvent, JobReply, JobReport, JobRequest, Jobs, JobSubscriber } from '../predict/ports.ts';

/** The methods of the bound object that are called from outside. */
interface JobStub {
  obtain(request: JobRequest): Promise<JobReply>;
}

/** What workerd writes on errors of Durable Objects. */
interface ObjectError extends Error {
  readonly retryable?: boolean;
  readonly overloaded?: boolean;
}

type Notify = (predictionId: string, resultKey: string, sequence: number, event: JobEvent) => Promise<void>;

const MAX_ATTEMPTS = 2;

export class DurableJobs implements Jobs {
  readonly #stubOf: (restorationKey: string) => JobStub;
  readonly #notify: Notify;

  /** @param stubOf gives a new stub each time: after an error the old one stays broken */
  constructor(stubOf: (restorationKey: string) => JobStub, notify: Notify) {
    this.#stubOf = stubOf;
    this.#notify = notify;
  }

  async submit(request: JobRequest, { predictionId }: JobSubscriber): Promise<{ started: boolean }> {
    const { resultKey } = request.task;
    this.obtain(request)
      .then(
        (report) => this.#notify(predictionId, resultKey, 1, { type: 'succeeded', report }),
        (error: unknown) => this.#notify(predictionId, resultKey, 1, { type: 'failed', error: toWireError(error) }),
      )
      .catch(() => undefined);
    return { started: true };
  }

  async leave(): Promise<void> {
    // INTERIM until jobs lands.
  }

  async obtain(request: JobRequest): Promise<JobReport> {
    const reply = await this.#call(request);
    if (reply.ok) return reply.report;
    const { code, detail } = reply.error;
    // A runner that is full or down is worth another try, and the caller is told when.
    if (code === 'runner_busy' || code === 'runner_unavailable') {
      throw new DeblurError(code, detail, { retryAfterSeconds: RETRY_AFTER_SECONDS });
    }
    throw fromWireError(reply.error);
  }

  async #call(request: JobRequest): Promise<JobReply> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#stubOf(request.task.restorationKey).obtain(request);
      } catch (error) {
        // A deployment or a crash in the middle; asking is idempotent, so it may be asked again.
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
