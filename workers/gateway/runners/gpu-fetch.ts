/** The fetch that the `replicate` client is given: time-out, bounded back-off, and our errors for everything but success. */
import { DeblurError } from '@deblur/shared/errors.ts';

export interface Backoff {
  /** Calls in all, the first included. */
  readonly attempts: number;
  /** Waits for so many milliseconds. */
  readonly sleep: (ms: number) => Promise<void>;
}

const BACKOFF: Backoff = { attempts: 4, sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)) };

const FIRST_DELAY_MS = 250;

/** A runner that asks for more is treated as down: the caller is told to come back instead of being held. */
const MAX_DELAY_MS = 5_000;

type Fetch = (input: Request | string | URL, init?: RequestInit) => Promise<Response>;

/**
 * One fetch for one request of the client. Having given up it stays so: the client, which repeats what throws at once and
 * without waiting, gets the same error again and never reaches the network.
 *
 * @throws {DeblurError} `runner_busy` (409, as Cog says it, and 429), `runner_unavailable` (503, or nobody there),
 * `runner_failed`, `deadline_exceeded`
 */
export function gpuFetch(signal: AbortSignal, { attempts, sleep }: Backoff = BACKOFF): Fetch {
  let outcome: Promise<Response> | undefined;
  return (input, init) => (outcome ??= attempt(input, init));

  async function attempt(input: Request | string | URL, init: RequestInit | undefined): Promise<Response> {
    for (let made = 1; ; made++) {
      const { response, failure } = await once(input, init);
      if (response?.ok === true) return response;
      await response?.body?.cancel();
      const delay = delayOf(response, made);
      if (made === attempts || delay > MAX_DELAY_MS || !isWorthRepeating(response)) throw failure;
      await sleep(delay);
    }
  }

  async function once(input: Request | string | URL, init: RequestInit | undefined): Promise<Attempt> {
    try {
      const response = await fetch(input, { ...init, signal });
      return { response, failure: failureOf(response.status) };
    } catch (cause) {
      // Its reason, and with it the request and the token, stays here.
      if (signal.aborted) throw new DeblurError('deadline_exceeded', 'The runner did not answer in time.');
      return {
        response: undefined,
        failure: new DeblurError('runner_unavailable', 'The runner does not answer.', { cause }),
      };
    }
  }
}

interface Attempt {
  readonly response: Response | undefined;
  readonly failure: DeblurError;
}

/** Its PUT is idempotent, so that all of these may be. A full runner is not pressed: the caller decides. */
function isWorthRepeating(response: Response | undefined): boolean {
  return response === undefined || response.status === 429 || response.status >= 500;
}

/** Retry-After (RFC 9110 § 10.2.3, seconds or a date), or doubling from FIRST_DELAY_MS with up to a quarter of jitter. */
function delayOf(response: Response | undefined, made: number): number {
  const header = response?.headers.get('retry-after') ?? '';
  if (/^\d+$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  if (!Number.isNaN(date)) return Math.max(0, date - Date.now());
  return FIRST_DELAY_MS * 2 ** (made - 1) * (1 + Math.random() / 4);
}

function failureOf(status: number): DeblurError {
  if (status === 409 || status === 429) return new DeblurError('runner_busy', 'Every slot of the runner is busy.');
  if (status === 503) return new DeblurError('runner_unavailable', 'The runner is not ready.');
  return new DeblurError('runner_failed', `The runner answered ${status}.`);
}
