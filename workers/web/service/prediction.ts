/** A restoration that continues at the service: followed by its events, and cancelled when nobody waits for it. */
import { CACHE_STATES, RestoreError, type Activity, type CacheState, type Change, type Verdict } from '../app/item.ts';
import { failureOf, isRecord, NOT_OURS, ownPath, predictionFailure, sleep } from './problem.ts';
import { authorization } from './visitor.ts';

const POLL_INTERVAL_MS = 1_500;

/** A poll may be lost on a bad line; so many in a row mean that there is no line. */
const MAX_LOST_POLLS = 8;

/** The parts of a prediction that the page reads. */
export interface PredictionState {
  readonly status: string;
  readonly done: number;
  readonly total: number;
  readonly error: string;
  /** Path of the result on this origin; null until there is one. */
  readonly output: string | null;
  /** Path of the event stream; null when the service names none. */
  readonly events: string | null;
  readonly cache: CacheState | null;
  readonly scale: number | null;
  readonly change: Change | null;
  readonly verdict: Verdict | null;
}

export interface Following {
  readonly path: string;
  readonly signal: AbortSignal;
  readonly onActivity: (activity: Activity) => void;
}

/**
 * Follows a prediction to its end.
 * @returns its state once it has succeeded
 * @throws {RestoreError} why it failed
 * @throws the signal's reason when it is aborted: the prediction is cancelled then
 */
export async function followPrediction(following: Following, first?: PredictionState): Promise<PredictionState> {
  const { path, signal } = following;
  const cancel = (): void => {
    // The page may be closing, hence keepalive.
    const init = { method: 'POST', keepalive: true, headers: authorization() };
    void fetch(`${path}/cancel`, init).catch(() => undefined);
  };
  signal.addEventListener('abort', cancel, { once: true });
  try {
    const state = first ?? (await read(path, signal));
    const last = isTerminal(state) ? state : await untilTerminal(following, state);
    if (last.status !== 'succeeded') throw new RestoreError(predictionFailure(last.status, last.error));
    if (last.output === null) throw new RestoreError(NOT_OURS);
    return last;
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

const isTerminal = ({ status }: PredictionState): boolean => ['succeeded', 'failed', 'canceled'].includes(status);

function activityOf({ done, total }: PredictionState): Activity {
  return total > 0 ? { kind: 'tiles', done, total } : { kind: 'queued' };
}

/** By events where the service streams them; a stream that breaks is replaced by polling. */
async function untilTerminal(following: Following, first: PredictionState): Promise<PredictionState> {
  following.onActivity(activityOf(first));
  if (first.events !== null) {
    const last = await listen(first.events, following);
    if (last !== null) return last;
  }
  return poll(following);
}

/** Resolves with the last state, or null when the stream ended without one. */
function listen(events: string, { signal, onActivity }: Following): Promise<PredictionState | null> {
  return new Promise((resolve, reject) => {
    const source = new EventSource(events);
    let failures = 0;
    const end = (settle: () => void): void => {
      source.close();
      signal.removeEventListener('abort', stop);
      settle();
    };
    const stop = (): void => end(() => reject(signal.reason as Error));
    signal.addEventListener('abort', stop, { once: true });
    const onEvent = ({ data }: MessageEvent<string>): void => {
      failures = 0;
      const state = parse(data);
      if (isTerminal(state)) return end(() => resolve(state));
      onActivity(activityOf(state));
    };
    for (const name of ['start', 'progress', 'completed']) source.addEventListener(name, onEvent);
    source.addEventListener('error', () => {
      if (source.readyState === EventSource.CLOSED || ++failures >= MAX_LOST_POLLS) end(() => resolve(null));
    });
  });
}

async function poll({ path, signal, onActivity }: Following): Promise<PredictionState> {
  for (let lost = 0; ;) {
    try {
      const state = await read(path, signal);
      if (isTerminal(state)) return state;
      onActivity(activityOf(state));
      lost = 0;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof RestoreError && !error.failure.retryable) throw error;
      if (++lost === MAX_LOST_POLLS) throw error;
    }
    await sleep(POLL_INTERVAL_MS, signal);
  }
}

async function read(path: string, signal: AbortSignal): Promise<PredictionState> {
  const response = await fetch(path, { signal, headers: authorization() });
  if (!response.ok) throw new RestoreError(await failureOf(response));
  return stateOf(await response.json());
}

function parse(json: string): PredictionState {
  try {
    return stateOf(JSON.parse(json));
  } catch {
    return stateOf(null);
  }
}

/** Reads untrusted JSON: whatever is missing counts as not yet there. */
export function stateOf(value: unknown): PredictionState {
  const prediction = isRecord(value) ? value : {};
  const part = (name: string): Record<string, unknown> => {
    const inner = prediction[name];
    return isRecord(inner) ? inner : {};
  };
  const [progress, metrics, urls] = [part('progress'), part('metrics'), part('urls')];
  const text = (inner: unknown): string => (typeof inner === 'string' ? inner : '');
  return {
    status: text(prediction['status']),
    done: positive(progress['done']) ?? 0,
    total: positive(progress['total']) ?? 0,
    error: text(prediction['error']),
    output: ownPath(text(prediction['output'])),
    events: ownPath(text(urls['events'])) ?? ownPath(text(urls['stream'])),
    cache: CACHE_STATES.find((state) => state === metrics['cache']) ?? null,
    scale: positive(metrics['scale']),
    change: changeOf(metrics['change']),
    verdict: verdictOf(metrics['outcome']),
  };
}

export function changeOf(value: unknown): Change | null {
  if (!isRecord(value) || typeof value['mean'] !== 'number' || typeof value['max'] !== 'number') return null;
  return { mean: value['mean'], max: value['max'] };
}

export function verdictOf(value: unknown): Verdict | null {
  return (['restored', 'already_sharp', 'beyond_model'] as const).find((verdict) => verdict === value) ?? null;
}

const positive = (value: unknown): number | null => (typeof value === 'number' && value > 0 ? value : null);
