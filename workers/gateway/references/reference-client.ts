/** The way from a request to the object that holds the references of a restoration. */
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import { RETRY_AFTER_SECONDS } from '@deblur/shared/limits.ts';
import type { Released, References, ResultOrigin } from './ports.ts';

/** The methods of the bound object that are called from outside. */
interface ReferenceStub {
  acquire(tenant: string, origin: ResultOrigin): Promise<{ own: boolean }>;
  derive(from: string, sibling: ResultOrigin): Promise<boolean>;
  release(tenant: string | null, resultKey: string, restorationKey: string): Promise<Released | null>;
  eraseLate(resultKey: string, restorationKey: string): Promise<void>;
}

/** What workerd writes on errors of Durable Objects. */
interface ObjectError extends Error {
  readonly retryable?: boolean;
  readonly overloaded?: boolean;
}

const MAX_ATTEMPTS = 2;

export class DurableReferences implements References {
  readonly #stubOf: (restorationKey: string) => ReferenceStub;

  /** @param stubOf gives a new stub each time: after an error the old one stays broken */
  constructor(stubOf: (restorationKey: string) => ReferenceStub) {
    this.#stubOf = stubOf;
  }

  acquire(tenantId: string, origin: ResultOrigin): Promise<{ readonly own: boolean }> {
    return this.#call(restorationOf(origin), (stub) => stub.acquire(tenantId, origin));
  }

  derive(resultKey: string, sibling: ResultOrigin): Promise<boolean> {
    return this.#call(restorationOf(sibling), (stub) => stub.derive(resultKey, sibling));
  }

  release(tenantId: string | null, origin: ResultOrigin): Promise<Released | null> {
    const { resultKey, restorationKey } = origin.request.task;
    return this.#call(restorationKey, (stub) => stub.release(tenantId, resultKey, restorationKey));
  }

  eraseLate(resultKey: string, restorationKey: string): Promise<void> {
    return this.#call(restorationKey, (stub) => stub.eraseLate(resultKey, restorationKey));
  }

  /** To ask twice has the effect of asking once, so each may be repeated. */
  async #call<T>(restorationKey: string, method: (stub: ReferenceStub) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await method(this.#stubOf(restorationKey));
      } catch (cause) {
        const { retryable, overloaded } = cause as ObjectError;
        if (attempt < MAX_ATTEMPTS && retryable === true && overloaded !== true) continue;
        throw new DeblurError('runner_unavailable', 'The references of the result could not be reached.', {
          retryAfterSeconds: RETRY_AFTER_SECONDS,
          cause,
        });
      }
    }
  }
}

const restorationOf = ({ request }: ResultOrigin): string => request.task.restorationKey;
