import { DEFAULT_WAIT_SECONDS, MAX_WAIT_SECONDS, MIN_WAIT_SECONDS } from '@deblur/shared/limits.ts';

export interface WaitPreference {
  /** 0: not at all. */
  readonly seconds: number;
  /** What to say in Preference-Applied: only what was asked for and done. */
  readonly applied: string | null;
}

/** `token [ BWS "=" BWS word ]`, word = token / quoted-string. Parameters behind `;` mean nothing to `wait`. */
const PREFERENCE = /^\s*([!#$%&'*+.^_`|~\w-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([!#$%&'*+.^_`|~\w-]+)))?\s*(?:;.*)?$/s;

/** Commas outside quotes. */
const SEPARATOR = /,(?=(?:[^"]*"[^"]*")*[^"]*$)/;

/**
 * How long `POST /v1/deblur` waits: `wait=n`, else not at all with `respond-async` (both of RFC 7240), else the default.
 * @param header all of the request's Prefer headers, joined by commas
 */
export function waitPreference(header: string | undefined): WaitPreference {
  const { wait, respondAsync } = parsePrefer(header);
  if (typeof wait === 'number') return { seconds: wait, applied: `wait=${wait}` };
  if (respondAsync && wait === null) return { seconds: 0, applied: 'respond-async' };
  return { seconds: DEFAULT_WAIT_SECONDS, applied: null };
}

/** How long the create of a prediction waits for its end: not at all, unless it says `wait`. */
export function createPreference(header: string | undefined): WaitPreference {
  const { wait, respondAsync } = parsePrefer(header);
  if (typeof wait === 'number') return { seconds: wait, applied: `wait=${wait}` };
  if (wait === 'default') return { seconds: DEFAULT_WAIT_SECONDS, applied: `wait=${DEFAULT_WAIT_SECONDS}` };
  return { seconds: 0, applied: respondAsync ? 'respond-async' : null };
}

interface Preferences {
  /** `default`: it is there, without a number or with one that is not granted. */
  readonly wait: number | 'default' | null;
  readonly respondAsync: boolean;
}

/** What cannot be understood or granted is ignored, as § 2 says of preferences; of several the first counts. */
function parsePrefer(header: string | undefined): Preferences {
  let wait: Preferences['wait'] = null;
  let respondAsync = false;
  for (const text of (header ?? '').slice(0, 1024).split(SEPARATOR)) {
    const [, name, quoted, token] = PREFERENCE.exec(text) ?? [];
    if (name?.toLowerCase() === 'respond-async') respondAsync = true;
    if (name?.toLowerCase() === 'wait') wait ??= secondsOf(quoted ?? token ?? '');
  }
  return { wait, respondAsync };
}

function secondsOf(value: string): number | 'default' {
  const seconds = /^\d{1,4}$/.test(value) ? Number(value) : NaN;
  return seconds >= MIN_WAIT_SECONDS && seconds <= MAX_WAIT_SECONDS ? seconds : 'default';
}
