/** A restoration that goes on after its request was answered: followed to its end, and cancelled when nobody waits. */
import { ERRORS, isErrorCode } from '@deblur/shared/protocol/errors.ts';
import { failureOf, isRecord, NOT_OURS, oneOf, sleep } from './answers.ts';
import { CACHE_STATES, RestoreError, type Activity, type CacheState } from './state.ts';

const POLL_INTERVAL_MS = 1000;

/** A poll may be lost on a bad line; so many in a row mean that there is no line. */
const MAX_LOST_POLLS = 5;

/** The parts of a prediction that the page reads. */
interface Progress {
  readonly status: string;
  readonly done: number;
  readonly total: number;
  readonly error: string;
  /** Path of the result on this origin; null until there is one. */
  readonly output: string | null;
  readonly cache: CacheState | null;
}

interface Call {
  /** The person's own: when it is aborted, the prediction is cancelled. */
  readonly signal: AbortSignal;
  readonly onActivity: (activity: Activity) => void;
}

export interface Followed {
  /** The answer with the picture. */
  readonly result: Response;
  readonly link: string;
  readonly cache: CacheState | null;
}

/**
 * @param accepted the 202 that carries the prediction and its `Location`
 * @param signal ends the waiting
 * @throws {RestoreError} why the prediction failed
 * @throws the signal's reason, or what `fetch` threw
 */
export async function followPrediction(accepted: Response, signal: AbortSignal, call: Call): Promise<Followed> {
  const path = ownPath(accepted.headers.get('Location'));
  if (path === null) throw new RestoreError(NOT_OURS);
  // Nobody waits for it any more: the runner need not go on. The page may be closing, hence keepalive.
  const cancel = (): void => void fetch(`${path}/cancel`, { method: 'POST', keepalive: true }).catch(() => undefined);
  call.signal.addEventListener('abort', cancel, { once: true });
  try {
    const { output, cache } = await untilTerminal(path, progressOf(await accepted.json()), signal, call);
    if (output === null) throw new RestoreError(NOT_OURS);
    const result = await fetch(output, { signal });
    if (!result.ok) throw new RestoreError(await failureOf(result));
    return { result, link: output, cache };
  } finally {
    call.signal.removeEventListener('abort', cancel);
  }
}

async function untilTerminal(path: string, first: Progress, signal: AbortSignal, call: Call): Promise<Progress> {
  let lost = 0;
  for (let progress = first; ;) {
    if (progress.status === 'succeeded') return progress;
    if (progress.status === 'failed' || progress.status === 'canceled') throw new RestoreError(failed(progress));
    const { done, total } = progress;
    call.onActivity(total > 0 ? { kind: 'tiles', done, total } : { kind: 'queued' });
    await sleep(POLL_INTERVAL_MS, signal);
    try {
      const response = await fetch(path, { signal });
      if (response.ok) progress = progressOf(await response.json());
      else if (response.status < 500) throw new RestoreError(await failureOf(response));
      lost = response.ok ? 0 : lost + 1;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof RestoreError || ++lost === MAX_LOST_POLLS) throw error;
    }
    if (lost === MAX_LOST_POLLS) throw new Error('the service stopped answering');
  }
}

/** Reads untrusted JSON: what is not there counts as not yet there. */
function progressOf(value: unknown): Progress {
  const prediction = isRecord(value) ? value : {};
  const progress = isRecord(prediction.progress) ? prediction.progress : {};
  const metrics = isRecord(prediction.metrics) ? prediction.metrics : {};
  const text = (part: unknown): string => (typeof part === 'string' ? part : '');
  const count = (part: unknown): number => (typeof part === 'number' && part > 0 ? part : 0);
  return {
    status: text(prediction.status),
    done: count(progress.done),
    total: count(progress.total),
    error: text(prediction.error),
    output: ownPath(text(prediction.output)),
    cache: oneOf(CACHE_STATES, text(metrics.cache)),
  };
}

/** The path of an address on this origin; null for any other. */
function ownPath(address: string | null): string | null {
  const { href, origin } = globalThis.location;
  if (address === null || address === '' || !URL.canParse(address, href)) return null;
  const url = new URL(address, href);
  return url.origin === origin ? url.pathname : null;
}

/** `error` is `code: detail`, with a code of the closed list. */
function failed({ status, error }: Progress): RestoreError['failure'] {
  const [, code = '', detail = error] = /^([a-z_]+): ([\s\S]*)$/.exec(error) ?? [];
  const known = isErrorCode(code) ? ERRORS[code] : null;
  return {
    title: known?.title ?? (status === 'canceled' ? 'It was cancelled' : 'The restoration failed'),
    detail: detail === '' ? 'It gave no further explanation.' : detail,
    code: known === null ? null : code,
    requestId: null,
    retryable: known?.retryable ?? true,
  };
}
