/**
 * The GPU placement: Cog's HTTP predictions, spoken by the `replicate` client to any base URL, so that the same code
 * reaches a container of one's own, Kubernetes and Replicate.
 *
 * Of the released client (1.4.0) only `request` is used, because of what the rest does:
 * - `run()` gives null on `canceled`, and in block mode when the answer is `processing` at the end of the wait; `wait()`
 *   polls for ever on `aborted`. The states are read here instead, each of them.
 * - its retries do not wait and ignore Retry-After, and they repeat a thrown failure six times. The fetch given to it
 *   (gpu-fetch.ts) backs off itself and never hands it anything that it would repeat.
 * - `fileEncodingStrategy` "data-uri" puts the client with its token into the body. No file passes through it: pictures
 *   go by signed URLs.
 * - its ApiError holds the request, with the token. gpu-fetch.ts turns bad answers into our errors before it sees them.
 */
import { DeblurError } from '@deblur/shared/errors.ts';
import { GPU_RESTORE_TIMEOUT_MS, HEALTH_TIMEOUT_MS } from '@deblur/shared/limits.ts';
import { MEDIA_TYPES } from '@deblur/shared/options.ts';
import { gpuOutputSchema, type GpuInput, type RestoreReport } from '@deblur/shared/runner-api.ts';
import Replicate from 'replicate';
import { z } from 'zod';
import type {
  EncodingTask,
  InternalUrls,
  PartHealth,
  ResultMetadata,
  Restorer,
  RestorationTask,
  ResultStore,
} from '../predict/ports.ts';
import { gpuFetch, type Backoff } from './gpu-fetch.ts';
import { parseGpuError, RUNNER_BROKE } from './wire.ts';

const predictionSchema = z.object({
  status: z.enum(['starting', 'processing', 'succeeded', 'failed', 'canceled', 'aborted']),
  output: z.unknown().optional(),
  error: z.string().nullish(),
});

type Prediction = z.infer<typeof predictionSchema>;

const healthSchema = z.object({ status: z.string().max(40) });

/** Cog's states in which a prediction would be taken, now or in its turn. */
const SERVING = ['READY', 'BUSY'];

/** Between two looks at a prediction that another request has begun. */
const POLL_INTERVAL_MS = 500;

export interface GpuRunnerOptions {
  readonly url: string;
  readonly token: string;
  readonly urls: InternalUrls;
  readonly results: ResultStore;
  /** For tests; the real one waits. */
  readonly backoff?: Backoff;
  readonly timeoutMs?: number;
}

export class GpuRunner implements Restorer {
  readonly #options: GpuRunnerOptions;

  constructor(options: GpuRunnerOptions) {
    this.#options = options;
  }

  async restore(task: RestorationTask): Promise<RestoreReport> {
    const { urls } = this.#options;
    const { model, modelVersion, encoding, restorationKey, resultKey, tile } = task;
    const metadata: ResultMetadata = { model, modelVersion, placement: 'gpu' };
    const report = await this.#predict(`restore-${resultKey}`, {
      operation: 'restore',
      image: await urls.sign({ purpose: 'read', kind: 'source', key: task.sourceDigest }),
      model,
      model_version: modelVersion,
      ...encoding,
      ...(tile === undefined ? {} : { tile }),
      master_upload_url: await urls.sign({
        purpose: 'write',
        kind: 'master',
        key: restorationKey,
        contentType: MEDIA_TYPES.png,
        metadata,
      }),
      result_upload_url: await this.#resultUrl(resultKey, encoding.format, metadata),
    });
    await this.#assertStored(resultKey);
    return report;
  }

  async encode({ restorationKey, resultKey, encoding, metadata }: EncodingTask): Promise<void> {
    await this.#predict(`encode-${resultKey}`, {
      operation: 'encode',
      image: await this.#options.urls.sign({ purpose: 'read', kind: 'master', key: restorationKey }),
      ...encoding,
      result_upload_url: await this.#resultUrl(resultKey, encoding.format, metadata),
    });
    await this.#assertStored(resultKey);
  }

  async health(): Promise<PartHealth> {
    try {
      const url = new URL('health-check', directory(this.#options.url));
      const response = await fetch(url, { signal: AbortSignal.timeout(HEALTH_TIMEOUT_MS) });
      const { status } = healthSchema.parse(await response.json());
      return { ready: SERVING.includes(status), status };
    } catch {
      return { ready: false, status: 'UNREACHABLE' };
    }
  }

  /** A runner's word that it has uploaded is not the upload. */
  async #assertStored(resultKey: string): Promise<void> {
    if ((await this.#options.results.head('result', resultKey)) !== null) return;
    throw new DeblurError('runner_failed', 'The runner did not hand its result over.');
  }

  #resultUrl(key: string, format: keyof typeof MEDIA_TYPES, metadata: ResultMetadata): Promise<string> {
    const contentType = MEDIA_TYPES[format];
    return this.#options.urls.sign({ purpose: 'write', kind: 'result', key, contentType, metadata });
  }

  /**
   * Runs one prediction to its end. The id names the work, so creating it twice is creating it once.
   * @throws {DeblurError} `runner_busy`, `runner_unavailable`, `runner_failed`, `deadline_exceeded`, or what the runner
   * said of the picture
   */
  async #predict(id: string, input: GpuInput): Promise<RestoreReport> {
    const { url, token, backoff, timeoutMs = GPU_RESTORE_TIMEOUT_MS } = this.#options;
    const signal = AbortSignal.timeout(timeoutMs);
    const route = `/predictions/${id}`;
    const client = () => new Replicate({ auth: token, baseUrl: url, fetch: gpuFetch(signal, backoff) });
    let prediction = await read(client().request(route, { method: 'PUT', data: { id, input } }), signal);
    while (prediction.status === 'starting' || prediction.status === 'processing') {
      await sleep(POLL_INTERVAL_MS);
      prediction = await read(client().request(route, { method: 'GET' }), signal);
    }
    return reportOf(prediction);
  }
}

async function read(response: Promise<Response>, signal: AbortSignal): Promise<Prediction> {
  const body: unknown = await (await response).json().catch(() => {
    if (signal.aborted) throw new DeblurError('deadline_exceeded', 'The runner did not answer in time.');
    return null;
  });
  const parsed = predictionSchema.safeParse(body);
  if (!parsed.success) throw new DeblurError('runner_failed', 'The runner gave an answer that is not a prediction.');
  return parsed.data;
}

function reportOf({ status, output, error }: Prediction): RestoreReport {
  if (status === 'failed') throw parseGpuError(error ?? '');
  if (status !== 'succeeded') throw new DeblurError('runner_failed', 'The runner gave the work up.');
  const parsed = gpuOutputSchema.safeParse(output);
  if (!parsed.success) throw new DeblurError('runner_failed', RUNNER_BROKE);
  return parsed.data.report;
}

const directory = (url: string): string => (url.endsWith('/') ? url : `${url}/`);

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
