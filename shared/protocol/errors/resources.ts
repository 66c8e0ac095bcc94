/** Errors of what a request names: resources, paths and methods. */
import { DeblurError } from './error.ts';
import { either, shown } from './texts.ts';

/** The same for another tenant's resource and for a malformed name: a caller learns nothing of what is not theirs. */
const NOT_FOUND = {
  delivery: 'There is no such delivery, or it is still being sent. GET the deliveries of the prediction lists them.',
  file: 'There is no such file, or it has expired. Upload it again.',
  key: 'There is no such API key. GET /v1/keys lists those of the tenant.',
  model: 'There is no such model. GET /v1/models lists them.',
  path: 'There is nothing under this path. GET /openapi.json lists every path.',
  prediction: 'There is no such prediction, or it has expired. Check its id and the API key.',
  result: 'There is no such result, or it has expired. Restore the picture again.',
  source: 'The source is no longer stored. Send it again.',
  stream: 'There is no such stream, or it has expired. Read its address from urls of the prediction.',
  upload: 'The upload in parts is over, or never was. Begin a new one.',
} as const;

export const notFound = (what: keyof typeof NOT_FOUND): DeblurError => new DeblurError('not_found', NOT_FOUND[what]);

const GONE = {
  delivery: 'The body of the delivery was removed with the data of its prediction. Create the prediction again.',
  'image link': 'The image link has expired. Sign a new one.',
  result: 'The result was deleted. Restore the picture again.',
} as const;

export const gone = (what: keyof typeof GONE): DeblurError => new DeblurError('gone', GONE[what]);

export const methodNotAllowed = (method: string, allowed: readonly string[]): DeblurError =>
  new DeblurError('method_not_allowed', `${shown(method)} is not allowed here. Use ${either(allowed)}.`);

export const rangeNotSatisfiable = (bytes: number): DeblurError =>
  new DeblurError(
    'range_not_satisfiable',
    `The range lies outside the result, which has ${bytes} bytes. Ask for less.`,
  );

export const serviceUnavailable = (part: string, retryAfterSeconds: number, cause?: unknown): DeblurError =>
  new DeblurError('service_unavailable', `The ${part} is temporarily unavailable. Try again later.`, {
    retryAfterSeconds,
    cause,
  });

export const internalError = (cause?: unknown): DeblurError =>
  new DeblurError('internal', 'The service failed. The request id names the entry in its log; try again.', { cause });

/** @param last the text of the last failure */
export const gaveUp = (attempts: number, last: string): DeblurError =>
  new DeblurError('internal', `Gave up after ${attempts} attempts. The last one failed with: ${last}`);
