/** The one way to a Durable Object, and the one rule for its failures. */
import { RETRY_AFTER_SECONDS } from '@deblur/shared/limits.ts';
import { serviceUnavailable } from '@deblur/shared/protocol/errors.ts';

/** What workerd writes on errors of Durable Objects. */
interface ObjectError extends Error {
  readonly retryable?: boolean;
  readonly overloaded?: boolean;
  /** The object's own code threw it. */
  readonly remote?: boolean;
}

/** The methods of an object as its callers see them: by RPC, so that each gives a promise. */
export type Stub<Instance> = {
  [
    Name in keyof Instance as Instance[Name] extends (...args: never[]) => unknown ? Name : never
  ]: Instance[Name] extends (...args: infer Args) => infer Result ? (...args: Args) => Promise<Awaited<Result>> : never;
};

export interface Namespace<Instance> {
  getByName(name: string): Stub<Instance>;
}

const MAX_ATTEMPTS = 2;

/**
 * Calls an idempotent method of an object, and again when the object was moved or deployed under the call. An overloaded
 * object is not pressed, and an exception of its own code is not repeated.
 * @param part the object in a caller's words, for the error: `job`, `record of the tenant`
 * @throws {DeblurError} `service_unavailable` when the object could not be reached
 */
export async function callObject<Instance, T>(
  namespace: Namespace<Instance>,
  name: string,
  part: string,
  call: (stub: Stub<Instance>) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      // A new stub each time: after an error the old one stays broken.
      return await call(namespace.getByName(name));
    } catch (error) {
      if (attempt < MAX_ATTEMPTS && mayPass(error as ObjectError)) continue;
      throw serviceUnavailable(part, RETRY_AFTER_SECONDS, error);
    }
  }
}

/** An object that was aborted under a call gives a plain error without marks; a programming error has another class. */
function mayPass({ retryable, overloaded, remote, name }: ObjectError): boolean {
  if (overloaded === true || remote === true) return false;
  return retryable === true || name === 'Error';
}
