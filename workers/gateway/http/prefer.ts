import { DEFAULT_WAIT_SECONDS, MAX_WAIT_SECONDS, MIN_WAIT_SECONDS } from '@deblur/shared/limits.ts';

export interface WaitPreference {
  readonly seconds: number;
  /** What to say in Preference-Applied: only what was asked for and done. */
  readonly applied: string | null;
}

/** `token [ BWS "=" BWS word ]`, word = token / quoted-string. Parameters behind `;` mean nothing to `wait`. */
const PREFERENCE = /^\s*([!#$%&'*+.^_`|~\w-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([!#$%&'*+.^_`|~\w-]+)))?\s*(?:;.*)?$/s;

/** Commas outside quotes. */
const SEPARATOR = /,(?=(?:[^"]*"[^"]*")*[^"]*$)/;

/**
 * `Prefer: wait=n` (RFC 7240). What cannot be understood or granted is ignored, as § 2 says of preferences; of several
 * the first counts.
 * @param header all of the request's Prefer headers, joined by commas
 */
export function waitPreference(header: string | undefined): WaitPreference {
  for (const text of (header ?? '').slice(0, 1024).split(SEPARATOR)) {
    const [, name, quoted, token] = PREFERENCE.exec(text) ?? [];
    if (name?.toLowerCase() !== 'wait') continue;
    const value = quoted ?? token ?? '';
    const seconds = /^\d{1,4}$/.test(value) ? Number(value) : NaN;
    if (!(seconds >= MIN_WAIT_SECONDS && seconds <= MAX_WAIT_SECONDS)) break;
    return { seconds, applied: `wait=${seconds}` };
  }
  return { seconds: DEFAULT_WAIT_SECONDS, applied: null };
}
