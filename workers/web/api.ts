/**
 * The service as the page uses it: one picture up, the restored one down. What is not ready within the service's wait is
 * answered with a prediction (202), which is followed to its end; a full queue (503) names a time after which the same
 * upload is worth repeating.
 */
import { ERRORS } from '@deblur/shared/protocol/errors.ts';
import { RUNNER_RESTORE_TIMEOUT_MS, RETRY_AFTER_SECONDS, SYNC_UPLOAD_MAX_BYTES } from '@deblur/shared/limits.ts';
import { failureOf, NOT_OURS, oneOf, ownFailure, sleep, TOO_SLOW, UNREACHABLE } from './answers.ts';
import { formatBytes } from './format.ts';
import { followPrediction } from './prediction.ts';
import {
  CACHE_STATES,
  RestoreError,
  type Activity,
  type Failure,
  type Outcome,
  type Photo,
  type Settings,
} from './state.ts';

/** As long as the slowest placement may take; the upload comes on top, on a slow line it is most of it. */
const SERVICE_DEADLINE_MS = RUNNER_RESTORE_TIMEOUT_MS;

/** With a wait of 30 s each, more than the deadline; a queue that stays full is given up after two minutes. */
const MAX_ATTEMPTS = 24;
const MAX_RETRY_AFTER_SECONDS = 60;

export interface ServiceCall {
  readonly signal: AbortSignal;
  readonly onActivity: (activity: Activity) => void;
}

/**
 * @throws {RestoreError} every failure of the service or of the way there
 * @throws the signal's reason when it is aborted
 */
export async function deblurOnService(photo: Photo, settings: Settings, call: ServiceCall): Promise<Outcome> {
  refuseTooLarge(photo);
  const started = performance.now();
  const deadline = AbortSignal.timeout(SERVICE_DEADLINE_MS);
  const signal = AbortSignal.any([call.signal, deadline]);
  for (let attempt = 1; ; attempt++) {
    call.onActivity({ kind: 'sending' });
    try {
      const response = await fetch(deblurUrl(settings), { method: 'POST', ...body(photo), signal });
      if (response.status === 202) {
        const { result, link, cache } = await followPrediction(response, signal, call);
        return { ...(await outcomeOf(result, started)), link, cache };
      }
      if (response.ok) return await outcomeOf(response, started);
      const failure = await failureOf(response);
      const seconds = retryAfterSeconds(response, failure);
      if (seconds === null || attempt === MAX_ATTEMPTS) throw new RestoreError(failure);
      call.onActivity({ kind: 'waiting', reason: failure.title, seconds, attempt });
      await sleep(seconds * 1000, signal);
    } catch (error) {
      call.signal.throwIfAborted();
      if (error instanceof RestoreError) throw error;
      throw new RestoreError(deadline.aborted ? TOO_SLOW : UNREACHABLE, { cause: error });
    }
  }
}

function deblurUrl({ model, format, metadata }: Settings): string {
  return `/v1/deblur?${new URLSearchParams({ model, format, metadata }).toString()}`;
}

function body({ file }: Photo): RequestInit {
  // `image/*`: any format will do, so that `format=auto` means the source's.
  const headers = { Accept: 'image/*', 'Content-Type': file.type === '' ? 'application/octet-stream' : file.type };
  return { body: file, headers };
}

function refuseTooLarge({ file }: Photo): void {
  if (file.size <= SYNC_UPLOAD_MAX_BYTES) return;
  const detail = `It has ${formatBytes(file.size)}; the service takes up to ${formatBytes(SYNC_UPLOAD_MAX_BYTES)}. Restoring it on this device has no such limit.`;
  throw new RestoreError(ownFailure(ERRORS.body_too_large.title, detail, false, 'body_too_large'));
}

// ---- Answers -----------------------------------------------------------------------------------

async function outcomeOf(response: Response, started: number): Promise<Outcome> {
  const type = response.headers.get('Content-Type')?.split(';')[0]?.trim() ?? '';
  if (!type.startsWith('image/')) throw new RestoreError(NOT_OURS);
  const bytes = await response.arrayBuffer();
  return {
    picture: new Blob([bytes], { type }),
    model: response.headers.get('X-Model'),
    placement: oneOf(['edge', 'runner'], response.headers.get('X-Placement')),
    engine: null,
    cache: oneOf(CACHE_STATES, response.headers.get('X-Cache')),
    milliseconds: performance.now() - started,
    link: canonicalPath(response.headers.get('Link')),
    notes: [],
  };
}

/** The `rel="canonical"` target of a Link header (RFC 8288), when it lies on this origin. */
export function canonicalPath(link: string | null, base: string = globalThis.location.href): string | null {
  const target = /<([^>]+)>\s*;[^,]*\brel="?canonical"?/.exec(link ?? '')?.[1];
  if (target === undefined || !URL.canParse(target, base)) return null;
  const url = new URL(target, base);
  return url.origin === new URL(base).origin ? url.pathname : null;
}

/**
 * How long to wait before the same upload is worth repeating; null when it is not. A deadline that passed has spent its
 * time: repeating it at once would spend it again.
 */
export function retryAfterSeconds(response: Response, failure: Failure): number | null {
  if (response.status !== 503 && response.status !== 504) return null;
  const header = response.headers.get('Retry-After');
  if (header === null || failure.code === 'deadline_exceeded') return null;
  // RFC 9110 § 10.2.3: delay in seconds, or a date.
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Math.min(
    MAX_RETRY_AFTER_SECONDS,
    Math.max(1, Math.ceil(Number.isNaN(seconds) ? RETRY_AFTER_SECONDS : seconds)),
  );
}
