/** Errors of the runners, of models and of time. */
import { DeblurError } from './error.ts';
import { count, either } from './texts.ts';

// ---- Models ------------------------------------------------------------------------------------

const MODEL_FIELD = [{ field: 'model', message: 'has no trained weights here' }];

export const modelUntrained = (model: string, available: readonly string[]): DeblurError =>
  new DeblurError(
    'model_unavailable',
    `${model} has no trained weights here. ` +
      (available.length === 0 ? 'Ask the operator to install a model.' : `Use ${either(available)}.`),
    { fields: MODEL_FIELD },
  );

export const versionUnavailable = (): DeblurError =>
  new DeblurError('model_unavailable', 'This version of the model is not here. GET /v1/models lists those that are.', {
    fields: [{ field: 'version', message: 'is not here' }],
  });

/** Said by a runner of itself. */
export const runnerLacksModel = (model: string): DeblurError =>
  new DeblurError('model_unavailable', `The runner has no trained weights of ${model}. Use another model.`);

/** Said by a runner of itself. @param reason completes "The runner cannot run dhnet-b: …" */
export const runnerCannotRun = (model: string, reason: string): DeblurError =>
  new DeblurError('model_unavailable', `The runner cannot run ${model}: ${reason}. Use another model.`);

/** Said by a runner of itself. */
export const runnerLacksVersion = (model: string): DeblurError =>
  new DeblurError('model_unavailable', `The runner has another version of ${model}. Leave out the version.`);

/** Said of a runner to which the gateway gave a model that it has. */
export const runnerHasOtherVersion = (): DeblurError =>
  new DeblurError('runner_unavailable', 'The runner has another version of the model. Try again when it is updated.');

// ---- Time --------------------------------------------------------------------------------------

export const deadlineExceeded = (seconds?: number): DeblurError =>
  new DeblurError(
    'deadline_exceeded',
    seconds === undefined
      ? 'The deadline passed before the picture was restored. Try again, or give it more time.'
      : `The picture was not restored within ${count(seconds, 'second')}. Try again, or give it more time.`,
  );

/** @param expectedSeconds by the speed that the runner measured */
export const tooSlowForDeadline = (model: string, expectedSeconds: number, deadlineSeconds: number): DeblurError => {
  const message =
    `${model} would take about ${count(expectedSeconds, 'second')} for this picture, and the deadline is in ` +
    `${count(deadlineSeconds, 'second')}; ask for another model or for more time`;
  return new DeblurError('invalid_option', `model: ${message}`, { fields: [{ field: 'model', message }] });
};

export const waitExpired = (): DeblurError =>
  new DeblurError('deadline_exceeded', 'The wait ended before the picture was restored. Try again in a moment.');

// ---- Runners -----------------------------------------------------------------------------------

export const runnerBusy = (retryAfterSeconds?: number): DeblurError =>
  new DeblurError('runner_busy', 'Every slot of the runner is busy. Try again later.', { retryAfterSeconds });

export const runnerNotReady = (retryAfterSeconds?: number): DeblurError =>
  new DeblurError('runner_unavailable', 'The runner is not ready. Try again later.', { retryAfterSeconds });

export const runnerUnreachable = (retryAfterSeconds?: number, cause?: unknown): DeblurError =>
  new DeblurError('runner_unavailable', 'The runner does not answer. Try again later.', { retryAfterSeconds, cause });

export const runnerStopped = (): DeblurError =>
  new DeblurError('runner_unavailable', 'The runner stopped before the picture was restored. Try again.');

/** @param reason completes "The runner cannot load its model: …" */
export const sessionFailed = (reason: string, cause?: unknown): DeblurError =>
  new DeblurError('runner_unavailable', `The runner cannot load its model: ${reason}. Ask the operator.`, { cause });

const RUNNER_FAILURES = {
  answer: 'The runner gave an answer that cannot be read.',
  broken: 'The runner failed in an unexpected way.',
  encoder: 'The restored picture could not be encoded.',
  encoder_time: 'Encoding the restored picture took too long.',
  master: 'The restored picture expired before it was encoded.',
  network: 'The network failed on a tile.',
  numbers: 'The network returned what is not a number.',
  overtaken: 'The restoration was overtaken by another attempt.',
  refused: 'The runner refused the request.',
  picture: 'The network returned no picture.',
  result: 'The runner made no result.',
  source: 'The source expired before it was restored.',
  tile: 'The network returned a tile of another size.',
  tile_type: 'The network was given a tile of another type than it takes.',
  upload: 'The result could not be uploaded.',
  worker: 'A worker of the runner ended unexpectedly.',
} as const;

export const runnerFailed = (how: keyof typeof RUNNER_FAILURES, cause?: unknown): DeblurError =>
  new DeblurError('runner_failed', `${RUNNER_FAILURES[how]} Try again.`, { cause });

/** @param reason completes "The result could not be uploaded: …" */
export const uploadFailed = (reason: string): DeblurError =>
  new DeblurError('runner_failed', `The result could not be uploaded: ${reason}. Try again.`);

export const runnerAnswered = (status: number): DeblurError =>
  new DeblurError('runner_failed', `The runner answered ${status}. Try again.`);

/** Not public: what an adapter tells its caller of a request that the runner does not understand. */
export const runnerRefusedInput = (): DeblurError =>
  new DeblurError('invalid_option', 'The runner refused the input of the prediction.');

/** Not public: what an adapter tells its caller of a prediction that the runner does not have. */
export const runnerDoesNotKnow = (): DeblurError =>
  new DeblurError('not_found', 'The runner has no prediction of this id.');
