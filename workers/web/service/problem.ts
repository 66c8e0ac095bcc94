/** Failures as the service tells them. */
import { ERRORS, isErrorCode } from '@deblur/shared/protocol/errors.ts';
import { ownFailure, RestoreError, type Failure } from '../app/item.ts';

export const UNREACHABLE = ownFailure('unreachable', true);
export const NOT_OURS = ownFailure('not_a_picture', true);
export const TOO_SLOW = ownFailure('too_slow', true);

/** Reads a problem document (RFC 9457); any other body counts as unexplained. */
export function problemOf(status: number, body: unknown): Failure {
  const text = (key: string): string | null => {
    const value = isRecord(body) ? body[key] : null;
    return typeof value === 'string' && value !== '' ? value : null;
  };
  const code = text('code');
  return {
    code: code ?? 'unexplained',
    detail: text('detail') ?? `HTTP ${status}`,
    requestId: text('request_id'),
    retryable: isErrorCode(code) ? ERRORS[code].retryable : status >= 500,
  };
}

export async function failureOf(response: Response): Promise<Failure> {
  return problemOf(response.status, await response.json().catch(() => null));
}

/** Reads a prediction's `error`, which is `code: detail`. */
export function predictionFailure(status: string, error: string): Failure {
  const [, code = '', detail = error] = /^([a-z_]+): ([\s\S]*)$/.exec(error) ?? [];
  if (isErrorCode(code)) return { code, detail, requestId: null, retryable: ERRORS[code].retryable };
  return ownFailure(status === 'canceled' ? 'canceled' : 'unexplained', true, error === '' ? null : error);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** Waits; rejects with the signal's reason when it is aborted. */
export function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, milliseconds);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}

/** The path of an address on this origin; null for any other. */
export function ownPath(address: string | null | undefined): string | null {
  const { href, origin } = globalThis.location;
  if (!address || !URL.canParse(address, href)) return null;
  const url = new URL(address, href);
  return url.origin === origin ? `${url.pathname}${url.search}` : null;
}

export { RestoreError };
