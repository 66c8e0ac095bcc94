/** What answers of the service mean, and what the page says of its own failures. */
import { ERRORS, isErrorCode } from '@deblur/shared/protocol/errors.ts';
import type { Failure } from './state.ts';

/** Reads problem+json (RFC 9457); anything else gets a text of our own. */
export async function failureOf(response: Response): Promise<Failure> {
  const problem: unknown = await response.json().catch(() => null);
  const text = (key: string): string | null => {
    const value = isRecord(problem) ? problem[key] : null;
    return typeof value === 'string' && value !== '' ? value : null;
  };
  const code = text('code');
  return {
    title: text('title') ?? `The service answered ${response.status}`,
    detail: text('detail') ?? 'It gave no further explanation.',
    code,
    requestId: text('request_id'),
    retryable: isErrorCode(code) ? ERRORS[code].retryable : response.status >= 500,
  };
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

export function oneOf<T extends string>(values: readonly T[], value: string | null): T | null {
  return values.find((candidate) => candidate === value?.toLowerCase()) ?? null;
}

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
    signal.addEventListener('abort', stop, { once: true });
  });
}

// ---- Failures of our own -----------------------------------------------------------------------

export function ownFailure(title: string, detail: string, retryable: boolean, code: string | null = null): Failure {
  return { title, detail, code, requestId: null, retryable };
}

export const UNREACHABLE = ownFailure(
  'The service could not be reached',
  'The connection failed or was cut off. Check the network and try again, or restore the picture on this device.',
  true,
);

export const TOO_SLOW = ownFailure(
  'This takes too long',
  'The service was still busy after ten minutes. Its work goes on and is kept: the same picture may be ready later.',
  true,
);

export const NOT_OURS = ownFailure(
  'The answer is not a picture',
  'Something between this page and the service may have replaced it.',
  true,
);
