/** What a prediction does, from fetch to upload. */
import { encodingHasNoMaster, hiddenCause, runnerFailed, toWireError } from '@deblur/shared/protocol/errors.ts';
import { DEFAULT_QUALITY } from '@deblur/shared/limits.ts';
import { RUNNER_TIMEOUT_MIN_SECONDS, TIMEOUT_PER_EXPECTED } from '../limits.ts';
import { MEDIA_TYPES, type OutputFormat } from '@deblur/shared/protocol/options.ts';
import { abortable } from '../threads/abortable.ts';
import type { HttpClient } from '../transfers/http-client.ts';
import type { Log } from '../ops/log.ts';
import type { Metrics } from '../ops/metrics.ts';
import type { PictureReply } from '../pictures/picture-messages.ts';
import { Deadline } from './deadline.ts';
import { Canceled, type OutputFile, type Prediction, type UploadedOutput } from './prediction.ts';
import type { PictureRestorer } from '../pictures/picture-restorer.ts';
import { readSource } from '../transfers/source.ts';
import { upload } from '../transfers/upload.ts';

export interface PredictPorts {
  readonly http: HttpClient;
  readonly restorer: PictureRestorer;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Undefined: as long as the picture may take here, and RUNNER_TIMEOUT_MIN_SECONDS at least. */
  readonly timeoutSeconds: number | undefined;
}

/**
 * Runs a prediction to its end. Never rejects: every end is a state of the prediction. Resolves when its work has stopped, too,
 * which may be later than its end.
 * @param source an address or data URI, or the file itself, which is given away
 */
export async function predict(prediction: Prediction, source: string | Uint8Array, ports: PredictPorts): Promise<void> {
  const { metrics, log, timeoutSeconds } = ports;
  const deadline = new Deadline(prediction, timeoutSeconds ?? RUNNER_TIMEOUT_MIN_SECONDS);
  prediction.start();
  const work = restoreAndDeliver(prediction, source, ports, deadline);
  try {
    // A cancel or the deadline ends the prediction at once, wherever its work is.
    const { output, report } = await abortable(work, prediction.signal);
    prediction.succeed(output, report);
  } catch (error) {
    if (error instanceof Canceled) prediction.markCanceled();
    else fail(prediction, error, log);
  } finally {
    deadline.clear();
  }
  const { id, trace, status, error } = prediction;
  metrics.ended(status, error?.code);
  log.info('prediction', {
    id,
    status,
    request_id: trace.requestId,
    trace_id: trace.traceId,
    code: error?.code,
    ...prediction.metrics,
  });
  await work.catch(() => undefined);
}

async function restoreAndDeliver(
  prediction: Prediction,
  source: string | Uint8Array,
  ports: PredictPorts,
  deadline: Deadline,
) {
  const bytes = typeof source === 'string' ? await download(prediction, source, ports) : source;
  const made = await make(prediction, bytes, ports, deadline);
  ports.metrics.made(made.report, made.queueMs);
  return { output: await deliver(prediction, made, ports), report: made.report };
}

function fail(prediction: Prediction, error: unknown, log: Log): void {
  const wire = toWireError(error);
  const fields = { id: prediction.id, request_id: prediction.trace.requestId, code: wire.code };
  // A fault of the request is no error of the runner, but the operator may want to know what the decoder said.
  if (wire.code === 'internal' || wire.code === 'runner_failed') log.error('prediction_failed', error, fields);
  else log.info('prediction_refused', { ...fields, cause: hiddenCause(error) });
  prediction.fail(wire);
}

function download({ trace, signal }: Prediction, url: string, { http, metrics }: PredictPorts): Promise<Uint8Array> {
  return metrics.timed('download', () => readSource(url, http, signal, trace.headers));
}

async function make(
  prediction: Prediction,
  source: Uint8Array,
  { restorer, timeoutSeconds }: PredictPorts,
  deadline: Deadline,
): Promise<PictureReply> {
  const { input, signal } = prediction;
  const { format, quality = DEFAULT_QUALITY, metadata = 'keep' } = input;
  const wantMaster = input.operation === 'restore' && input.master_upload_url !== undefined;
  const wantResult = input.result_upload_url !== undefined || !wantMaster;
  const job = { source, encoding: { format, quality, metadata }, wantMaster, wantResult };
  if (input.operation === 'encode') {
    if (input.master_upload_url === undefined) return restorer.encode(job, signal);
    throw encodingHasNoMaster('master_upload_url');
  }
  const model = restorer.model(input.model, input.model_version);
  prediction.setModel(model);
  if (timeoutSeconds === undefined) deadline.extendTo(TIMEOUT_PER_EXPECTED * restorer.expectedSeconds(model, source));
  const onProgress = (done: number, total: number): void => prediction.setProgress(done, total);
  const { tile, working_scale: workingScale = 'auto' } = input;
  return restorer.restore(job, { model, tile, workingScale, onProgress }, signal);
}

/** To the upload URLs when there are any, else into the prediction itself. */
async function deliver(
  prediction: Prediction,
  { master, result, format, report }: PictureReply,
  { http, metrics }: PredictPorts,
): Promise<OutputFile | UploadedOutput> {
  const { input, model, signal, trace } = prediction;
  const { master_upload_url: masterUrl, result_upload_url: resultUrl, upload_part_bytes: partBytes } = input;
  if (masterUrl === undefined && resultUrl === undefined) {
    if (result === undefined) throw runnerFailed('result');
    return { format, bytes: result };
  }
  const put = async (url: string | undefined, bytes: Uint8Array | undefined, as: OutputFormat): Promise<void> => {
    if (url === undefined || bytes === undefined) return;
    await upload({ url, bytes, mediaType: MEDIA_TYPES[as], headers: trace.headers, partBytes }, http, signal);
  };
  await metrics.timed('upload', () => Promise.all([put(masterUrl, master, 'png'), put(resultUrl, result, format)]));
  return { report, ...(model === undefined ? {} : { model: model.name, model_version: model.version }) };
}
