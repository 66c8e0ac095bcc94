/** The fetch that the `replicate` client is given: time-out, bounded back-off, and our errors for everything but success. */
import { isRedirect, parseRetryAfter } from '@deblur/shared/net/http.ts';
import {
  runnerAnswered,
  runnerBusy,
  runnerDoesNotKnow,
  runnerNotReady,
  runnerRefusedInput,
  runnerUnreachable,
  type DeblurError,
} from '@deblur/shared/protocol/errors.ts';

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

export interface GpuFetchOptions {
  readonly backoff?: Backoff;
  /** Whether the request may be repeated when it is not known what became of it. */
  readonly idempotent: boolean;
}

type Fetch = (input: Request | string | URL, init?: RequestInit) => Promise<Response>;

/**
 * One fetch for one request of the client. Having given up it stays so: the client, which repeats what throws at once and
 * without waiting, gets the same error again and never reaches the network.
 *
 * @throws {DeblurError} `runner_busy` (409, as Cog says it, and 429), `runner_unavailable` (503, nobody there, which a tunnel or
 * proxy before the runner says with 502, 504 or 520 to 530, a redirect, or no answer in time), both with the runner's Retry-After;
 * `not_found` (404), `invalid_option` (422), else `runner_failed`
 */
export function gpuFetch(signal: AbortSignal, { backoff = BACKOFF, idempotent }: GpuFetchOptions): Fetch {
  const { attempts, sleep } = backoff;
  let outcome: Promise<Response> | undefined;
  return (input, init) => (outcome ??= attempt(input, init));

  async function attempt(input: Request | string | URL, init: RequestInit | undefined): Promise<Response> {
    for (let made = 1; ; made++) {
      const { response, failure } = await once(input, init);
      if (response?.ok === true) return response;
      await response?.body?.cancel();
      const delay = delayOf(response, made);
      if (made === attempts || delay > MAX_DELAY_MS || !isWorthRepeating(response, idempotent)) throw failure;
      await sleep(delay);
    }
  }

  async function once(input: Request | string | URL, init: RequestInit | undefined): Promise<Attempt> {
    try {
      // The input holds addresses that are credentials: they go to the runner that was configured, and nowhere else.
      const response = await fetch(input, { ...init, signal, redirect: 'manual' });
      return { response, failure: failureOf(response) };
    } catch (cause) {
      // Its reason, and with it the request and the token, stays here.
      if (signal.aborted) throw runnerUnreachable();
      return { response: undefined, failure: runnerUnreachable(undefined, cause) };
    }
  }
}

interface Attempt {
  readonly response: Response | undefined;
  readonly failure: DeblurError;
}

/** A full runner is not pressed: the caller decides. What may have been taken is repeated only if twice is once. */
function isWorthRepeating(response: Response | undefined, idempotent: boolean): boolean {
  if (response?.status === 429) return true;
  return idempotent && (response === undefined || response.status >= 500);
}

/** What the runner asks for, or doubling from FIRST_DELAY_MS with up to a quarter of jitter. */
function delayOf(response: Response | undefined, made: number): number {
  return retryAfterMs(response) ?? FIRST_DELAY_MS * 2 ** (made - 1) * (1 + Math.random() / 4);
}

/** What the runner asked for. */
function retryAfterMs(response: Response | undefined): number | undefined {
  const seconds = parseRetryAfter(response?.headers.get('retry-after'), Date.now());
  return seconds === null ? undefined : seconds * 1000;
}

function failureOf(response: Response): DeblurError {
  const { status } = response;
  const askedMs = retryAfterMs(response);
  const askedSeconds = askedMs === undefined ? undefined : askedMs / 1000;
  if (status === 409 || status === 429) return runnerBusy(askedSeconds);
  if (status === 503) return runnerNotReady(askedSeconds);
  if (isRedirect(status) || saysNobodyThere(status)) return runnerUnreachable(askedSeconds);
  if (status === 404) return runnerDoesNotKnow();
  if (status === 422) return runnerRefusedInput();
  return runnerAnswered(status);
}

/** RFC 9110's gateway errors and Cloudflare's own (520 to 530): the runner itself gives none of them. */
function saysNobodyThere(status: number): boolean {
  return status === 502 || status === 504 || (status >= 520 && status <= 530);
}
