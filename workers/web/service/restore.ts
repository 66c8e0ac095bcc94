/**
 * One photo through the service: uploaded, followed as a prediction, the result fetched. A result that is stored already
 * comes back at once. A full queue names a time after which the same upload is worth repeating.
 */
import { MAX_RETRY_AFTER_SECONDS, PAGE_MAX_UPLOADS } from '../app/limits.ts';
import { CACHE_STATES, ownFailure, RestoreError, type Outcome, type Placement } from '../app/item.ts';
import type { Settings } from '../app/settings.ts';
import type { Run } from '../app/work.ts';
import { RETRY_AFTER_SECONDS, SYNC_UPLOAD_MAX_BYTES } from '@deblur/shared/limits.ts';
import { followPrediction, stateOf, verdictOf, type PredictionState } from './prediction.ts';
import { failureOf, NOT_OURS, ownPath, sleep, UNREACHABLE } from './problem.ts';
import { upload } from './upload.ts';
import { authorization } from './visitor.ts';

/**
 * @param model the name to ask for; `auto` leaves it to the service
 * @throws {RestoreError} every failure of the service or of the way there
 * @throws the signal's reason when it is aborted
 */
export async function restoreOnService(run: Run, model: string): Promise<Outcome> {
  const started = performance.now();
  const { item, signal, report } = run;
  try {
    const resumed = item.work.kind === 'running' ? item.work.prediction : null;
    if (resumed !== null) return await finish(run, resumed, started);
    const response = await send(run, model);
    if (response.status !== 202) return await outcomeOf(response, started);
    const path = ownPath(response.headers.get('Location'));
    if (path === null) throw new RestoreError(NOT_OURS);
    report({ kind: 'accepted', prediction: path });
    return await finish(run, path, started, stateOf(await response.json()));
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof RestoreError) throw error;
    throw new RestoreError(UNREACHABLE, { cause: error });
  }
}

/** The address that restores a photo with these settings. */
export function deblurPath({ format, metadata }: Pick<Settings, 'format' | 'metadata'>, model: string): string {
  return `/v1/deblur?${new URLSearchParams({ model, format, metadata }).toString()}`;
}

async function send({ item, signal, report }: Run, model: string): Promise<Response> {
  const { source, settings } = item;
  if (source.size > SYNC_UPLOAD_MAX_BYTES) throw new RestoreError(ownFailure('body_too_large', false));
  const headers = {
    // Any format will do, so that `format=auto` means the source's.
    Accept: 'image/*',
    'Content-Type': source.type === '' ? 'application/octet-stream' : source.type,
    Prefer: 'respond-async',
    ...authorization(),
  };
  const onProgress = (done: number, total: number): void =>
    report({
      kind: 'progressed',
      activity: done < total || total === 0 ? { kind: 'uploading', done, total } : { kind: 'queued' },
    });
  for (let attempt = 1; ; attempt++) {
    onProgress(0, source.size);
    const response = await upload({ url: deblurPath(settings, model), headers, body: source, signal, onProgress });
    if (response.ok) return response;
    const seconds = retryAfterSeconds(response);
    const failure = await failureOf(response);
    if (seconds === null || failure.code === 'deadline_exceeded' || attempt === PAGE_MAX_UPLOADS) {
      throw new RestoreError(failure);
    }
    report({ kind: 'progressed', activity: { kind: 'pausing', seconds, attempt } });
    await sleep(seconds * 1000, signal);
  }
}

/** Follows the prediction and fetches what it made. */
async function finish(run: Run, path: string, started: number, first?: PredictionState): Promise<Outcome> {
  const { signal, report } = run;
  const following = {
    path,
    signal,
    onActivity: (activity: Parameters<typeof asProgress>[0]) => report(asProgress(activity)),
  };
  const state = await followPrediction(following, first);
  const response = await fetch(state.output ?? '', { signal, headers: authorization() });
  if (!response.ok) throw new RestoreError(await failureOf(response));
  const outcome = await outcomeOf(response, started);
  const { cache, scale, change, verdict, output } = state;
  return { ...outcome, link: output, cache, scale, change, verdict };
}

const asProgress = (activity: Extract<Parameters<Run['report']>[0], { kind: 'progressed' }>['activity']) =>
  ({ kind: 'progressed', activity }) as const;

async function outcomeOf(response: Response, started: number): Promise<Outcome> {
  const type = response.headers.get('Content-Type')?.split(';')[0]?.trim() ?? '';
  if (!type.startsWith('image/')) throw new RestoreError(NOT_OURS);
  const bytes = await response.arrayBuffer();
  const scale = Number(response.headers.get('X-Scale') ?? Number.NaN);
  return {
    picture: new Blob([bytes], { type }),
    model: response.headers.get('X-Model'),
    placement: placementOf(response.headers.get('X-Placement')),
    engine: null,
    cache: CACHE_STATES.find((state) => state === response.headers.get('X-Cache')) ?? null,
    milliseconds: performance.now() - started,
    link: canonicalPath(response.headers.get('Link')),
    scale: Number.isFinite(scale) ? scale : null,
    change: null,
    verdict: verdictOf(response.headers.get('X-Outcome')),
    notes: [],
  };
}

function placementOf(header: string | null): Placement | null {
  if (header === 'edge') return 'edge';
  return header === 'runner' || header === 'gpu' ? 'runner' : null;
}

/** The `rel="canonical"` target of a Link header (RFC 8288), when it lies on this origin. */
export function canonicalPath(link: string | null): string | null {
  return ownPath(/<([^>]+)>\s*;[^,]*\brel="?canonical"?/.exec(link ?? '')?.[1]);
}

/** Seconds after which the same upload is worth repeating; null when it is not. */
export function retryAfterSeconds(response: Response): number | null {
  const header = response.headers.get('Retry-After');
  if (header === null || ![429, 503].includes(response.status)) return null;
  // RFC 9110 § 10.2.3: delay in seconds, or a date.
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  const known = Number.isNaN(seconds) ? RETRY_AFTER_SECONDS : seconds;
  // An hour's budget that is spent does not come back while a person waits.
  return known > MAX_RETRY_AFTER_SECONDS ? null : Math.max(1, Math.ceil(known));
}
