// What ends a run that nobody can use any more: a parent that is gone, and Workers that accept and never answer.
import { setTimeout as delay } from 'node:timers/promises';

/** Calls `then` once when the process that started this one is gone, however that came: `npm` hands no signal on. */
export function whenParentIsGone(then: () => void, everyMs = 1_000): void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    then();
  }, everyMs);
  timer.unref();
}

export interface SilenceOptions {
  /** Ends the watch; the promise then stays as it is. */
  readonly signal: AbortSignal;
  /** Between two questions, and the longest wait for one answer. */
  readonly everyMs?: number;
  readonly limitMs?: number;
}

/** Resolves with a reason when a URL has given no answer, of whatever status, for so long. */
export async function silenceOf(
  url: string,
  { signal, everyMs = 5_000, limitMs = 60_000 }: SilenceOptions,
): Promise<string> {
  let heard = Date.now();
  while (!signal.aborted && Date.now() - heard < limitMs) {
    try {
      const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(everyMs)]) });
      await response.body?.cancel();
      heard = Date.now();
    } catch {
      // No answer; the time counts.
    }
    await delay(everyMs, undefined, { ref: false });
  }
  if (signal.aborted) return new Promise(() => undefined);
  return `${url} has not answered for ${limitMs / 1000} s`;
}
