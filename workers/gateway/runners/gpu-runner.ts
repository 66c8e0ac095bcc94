/**
 * The GPU placement: Cog's HTTP predictions, spoken by the `replicate` client, so that the same code reaches a container of
 * one's own, Kubernetes and Replicate (gpu-target.ts). Work is handed over and goes on by itself: the runner calls
 * back by an internal URL, and can be asked.
 *
 * Of the released client (1.4.0) only `request` is used, because of what the rest does:
 * - `run()` gives null on `canceled`, and in block mode when the answer is `processing` at the end of the wait; `wait()`
 *   polls for ever on `aborted`. The states are read here instead, each of them.
 * - its retries do not wait and ignore Retry-After, and they repeat a thrown failure six times. The fetch given to it
 *   (gpu-fetch.ts) backs off itself and never hands it anything that it would repeat.
 * - `fileEncodingStrategy` "data-uri" puts the client with its token into the body. No file passes through it: pictures
 *   go by internal URLs.
 * - its ApiError holds the request, with the token. gpu-fetch.ts turns bad answers into our errors before it sees them.
 */
import { DeblurError, runnerFailed, runnerUnreachable } from '@deblur/shared/protocol/errors.ts';
import { RUNNER_CALL_TIMEOUT_MS, HEALTH_TIMEOUT_MS, RESULT_UPLOAD_PART_BYTES } from '@deblur/shared/limits.ts';
import { MEDIA_TYPES } from '@deblur/shared/protocol/options.ts';
import { runnerHealthSchema, type GpuInput } from '@deblur/shared/protocol/runner-api.ts';
import type { TraceContext } from '@deblur/shared/protocol/trace-context.ts';
import Replicate from 'replicate';
import type {
  EncodingTask,
  InternalUrls,
  PartHealth,
  RemoteRunner,
  RemoteState,
  RestorationTask,
  RunnerOperation,
} from './ports.ts';
import type { ResultKind, ResultMetadata } from '../results/stored-result.ts';
import { gpuFetch, type Backoff } from './gpu-fetch.ts';
import type { Creation, GpuTarget } from './gpu-target.ts';
import { readRemoteState } from './remote-state.ts';

/** Cog's states in which a prediction would be taken, now or in its turn. */
const SERVING = ['READY', 'BUSY'];

export interface GpuRunnerOptions {
  readonly target: GpuTarget;
  readonly urls: InternalUrls;
  /** For tests; the real one waits. */
  readonly backoff?: Backoff;
  readonly timeoutMs?: number;
}

interface Call {
  readonly method: 'GET' | 'PUT' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly data?: object;
  /** Whether it may be repeated when it is not known what became of it. */
  readonly idempotent: boolean;
}

export class GpuRunner implements RemoteRunner {
  readonly #options: GpuRunnerOptions;

  constructor(options: GpuRunnerOptions) {
    this.#options = options;
  }

  idOf(work: RunnerOperation, attempt: number): string | null {
    return this.#options.target.nameOf(nameOf(work, attempt));
  }

  async begin(work: RunnerOperation, attempt: number, trace?: TraceContext): Promise<RemoteState> {
    const { target, urls } = this.#options;
    const input = work.operation === 'restore' ? await this.#restoration(work.task) : await this.#encoding(work.task);
    const { restorationKey, resultKey } = work.task;
    const webhook = await urls.sign({ purpose: 'callback', restorationKey, resultKey, attempt });
    const create = (creation: Creation): Promise<RemoteState> => {
      const { route, headers, ...request } = target.create(nameOf(work, attempt), creation);
      return this.#call(route, { ...request, headers: { ...headers, ...trace }, idempotent: target.idempotent });
    };
    try {
      if (!target.callsBack(webhook)) return await create({ input });
      try {
        return await create({ input, webhook, webhook_events_filter: ['start', 'logs', 'completed'] });
      } catch (error) {
        // Perhaps it delivers no webhooks, or not to us: then it is asked how it goes.
        if (!isCode(error, 'invalid_option')) throw error;
        return await create({ input });
      }
    } catch (error) {
      throw isCode(error, 'invalid_option') || isCode(error, 'not_found') ? runnerFailed('refused', error) : error;
    }
  }

  async look(id: string): Promise<RemoteState | null> {
    try {
      return await this.#call(`/predictions/${id}`, { method: 'GET', idempotent: true });
    } catch (error) {
      if (isCode(error, 'not_found')) return null;
      throw error;
    }
  }

  async cancel(id: string): Promise<void> {
    try {
      await this.#call(`/predictions/${id}/cancel`, { method: 'POST', idempotent: true });
    } catch (error) {
      if (!isCode(error, 'not_found')) throw error;
    }
  }

  async health(): Promise<PartHealth> {
    const { baseUrl, token, health } = this.#options.target;
    try {
      const response = await fetch(new URL(health.path, directory(baseUrl)), {
        headers: health.authorized ? { Authorization: `Bearer ${token}` } : {},
        redirect: 'manual',
        signal: AbortSignal.timeout(HEALTH_TIMEOUT_MS),
      });
      if (!response.ok) throw new Error(`answered ${response.status}`);
      const { status, setup } = runnerHealthSchema.parse(await response.json());
      return { ready: SERVING.includes(status), status, models: setup?.models ?? [] };
    } catch {
      return { ready: false, status: 'UNREACHABLE' };
    }
  }

  async #restoration(task: RestorationTask): Promise<GpuInput> {
    const { model, modelVersion, encoding, restorationKey, resultKey, tile, workingScale = 'auto' } = task;
    const { urls } = this.#options;
    const metadata: ResultMetadata = { model, modelVersion, placement: 'runner', restoration: task.restoration };
    return {
      operation: 'restore',
      image: await urls.sign({ purpose: 'read', kind: 'source', key: task.sourceKey }),
      model,
      model_version: modelVersion,
      ...encoding,
      ...(tile === undefined ? {} : { tile }),
      // A runner of an older release knows no scale.
      ...(workingScale === 'auto' ? {} : { working_scale: workingScale }),
      master_upload_url: await this.#uploadUrl('master', restorationKey, 'png', metadata),
      result_upload_url: await this.#uploadUrl('result', resultKey, encoding.format, metadata),
      upload_part_bytes: RESULT_UPLOAD_PART_BYTES,
    };
  }

  async #encoding({ restorationKey, resultKey, encoding, metadata }: EncodingTask): Promise<GpuInput> {
    return {
      operation: 'encode',
      image: await this.#options.urls.sign({ purpose: 'read', kind: 'master', key: restorationKey }),
      ...encoding,
      result_upload_url: await this.#uploadUrl('result', resultKey, encoding.format, metadata),
      upload_part_bytes: RESULT_UPLOAD_PART_BYTES,
    };
  }

  #uploadUrl(
    kind: ResultKind,
    key: string,
    format: keyof typeof MEDIA_TYPES,
    metadata: ResultMetadata,
  ): Promise<string> {
    const contentType = MEDIA_TYPES[format];
    const partBytes = RESULT_UPLOAD_PART_BYTES;
    return this.#options.urls.sign({ purpose: 'write', kind, key, contentType, metadata, partBytes });
  }

  async #call(route: string, { idempotent, ...call }: Call): Promise<RemoteState> {
    const { target, backoff, timeoutMs = RUNNER_CALL_TIMEOUT_MS } = this.#options;
    const signal = AbortSignal.timeout(timeoutMs);
    const fetch = gpuFetch(signal, { ...(backoff === undefined ? {} : { backoff }), idempotent });
    const client = new Replicate({ auth: target.token, baseUrl: target.baseUrl, fetch });
    const response = await client.request(route, call);
    try {
      return readRemoteState(await response.json());
    } catch (cause) {
      if (signal.aborted) throw runnerUnreachable();
      throw runnerFailed('answer', cause);
    }
  }
}

/** Names one attempt at one piece of work, so that creating it twice is creating it once. */
function nameOf({ operation, task }: RunnerOperation, attempt: number): string {
  return `${operation}-${task.resultKey}-${attempt}`;
}

function isCode(error: unknown, code: DeblurError['code']): error is DeblurError {
  return error instanceof DeblurError && error.code === code;
}

const directory = (url: string): string => (url.endsWith('/') ? url : `${url}/`);
