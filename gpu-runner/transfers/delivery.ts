/** One message to one receiver, tried again for as long as that may help. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Dispatcher } from 'undici';
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import type { HttpClient, HttpRequest } from './http-client.ts';

export type AnswerHeaders = Dispatcher.ResponseData['headers'];

export interface RetryPolicy {
  /** Calls in all, the first included. */
  readonly attempts: number;
  /** The same while the receiver cannot be reached, if that is more: one that restarts is away for a while. */
  readonly unreachedAttempts?: number;
  /** The same while it takes the message and does not answer in time, if that is less. */
  readonly timedOutAttempts?: number;
  /** Before the second call; doubled before each further one. */
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
  /** Of one call. */
  readonly timeoutMs: number;
}

/**
 * Delivers what `request` makes, anew for each attempt. Tries again after network failures, 408, 429 and 5xx; redirects
 * are not followed.
 * @returns the headers of the answer by which it was taken
 * @throws {UndeliveredError} when the receiver cannot be reached or refuses
 * @throws {DeblurError} `malformed_request`, `forbidden`: see checkUrl
 * @throws the signal's reason
 */
export async function deliver(
  url: string,
  request: () => Promise<Omit<HttpRequest, 'signal'>>,
  http: HttpClient,
  policy: RetryPolicy,
  signal: AbortSignal,
): Promise<AnswerHeaders> {
  for (let made = 1; ; made++) {
    const timeout = AbortSignal.timeout(policy.timeoutMs);
    const timed = AbortSignal.any([signal, timeout]);
    const { status, headers } = await call(url, { ...(await request()), signal: timed }, http, signal);
    if (status !== undefined && status >= 200 && status < 300) return headers;
    const timedOut = status === undefined && timeout.aborted;
    if (made >= attemptsOf(policy, status, timedOut) || !isRetryable(status))
      throw new UndeliveredError(status, timedOut);
    await sleep(Math.min(policy.backoffMs * 2 ** (made - 1), policy.maxBackoffMs), undefined, { signal });
  }
}

function attemptsOf(
  { attempts, unreachedAttempts = attempts, timedOutAttempts = attempts }: RetryPolicy,
  status: number | undefined,
  timedOut: boolean,
): number {
  if (status !== undefined) return attempts;
  return timedOut ? timedOutAttempts : unreachedAttempts;
}

/** Nobody took it. */
export class UndeliveredError extends Error {
  override readonly name = 'UndeliveredError';

  /** @param status of the last answer; undefined when none came */
  constructor(status: number | undefined, timedOut: boolean) {
    const silence = timedOut ? 'its receiver did not answer in time' : 'its receiver could not be reached';
    super(status === undefined ? silence : `its receiver answered ${status}`);
  }
}

function isRetryable(status: number | undefined): boolean {
  return status === undefined || status === 408 || status === 429 || status >= 500;
}

interface Answer {
  /** Undefined when none came. */
  readonly status: number | undefined;
  readonly headers: AnswerHeaders;
}

async function call(url: string, request: HttpRequest, http: HttpClient, signal: AbortSignal): Promise<Answer> {
  try {
    const { statusCode: status, headers, body } = await http.request(url, request);
    await body.dump();
    return { status, headers };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof DeblurError) throw error;
    return { status: undefined, headers: {} };
  }
}
