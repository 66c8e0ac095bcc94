/** Errors of a request's body, form, options and idempotency. */
import { DeblurError, type FieldError } from './error.ts';
import { count, shown } from './texts.ts';

// ---- Body --------------------------------------------------------------------------------------

export const emptyBody = (): DeblurError =>
  new DeblurError('empty_body', 'The request has no body. Send the picture as raw bytes, in a form or in JSON.');

export const bodyTooLarge = (maxBytes: number): DeblurError =>
  new DeblurError(
    'body_too_large',
    `The body has more than ${count(maxBytes, 'byte')}, the most that is taken here. Send a smaller file.`,
  );

export const bodyTimedOut = (seconds: number): DeblurError =>
  new DeblurError(
    'request_timeout',
    `The body did not arrive within ${count(seconds, 'second')}. Send the request again over a faster connection.`,
  );

export const bodyBrokeOff = (cause?: unknown): DeblurError =>
  new DeblurError('malformed_request', 'The body ended before it was complete. Send the request again.', { cause });

export const bodyNotUtf8 = (): DeblurError =>
  new DeblurError('malformed_request', 'The body is not UTF-8 text. Send JSON in UTF-8.');

export const bodyNotJson = (cause?: unknown): DeblurError =>
  new DeblurError('malformed_request', 'The body is not JSON. Send one JSON object, or another Content-Type.', {
    cause,
  });

export const bodyNotAJsonObject = (): DeblurError =>
  new DeblurError('malformed_request', 'The body is not a JSON object. Send one, such as {"image": "https://…"}.');

export const jsonTooManyKeys = (max: number): DeblurError =>
  new DeblurError('malformed_request', `The JSON has more than ${count(max, 'member')}. Send fewer.`);

export const jsonTooDeep = (max: number): DeblurError =>
  new DeblurError(
    'malformed_request',
    `The JSON is nested more than ${count(max, 'level')} deep. Send a flatter object.`,
  );

export const lengthRequired = (): DeblurError =>
  new DeblurError('malformed_request', 'The request has no Content-Length or no body. Send both.');

export const contentTypeMustBe = (contentType: string): DeblurError =>
  new DeblurError('malformed_request', `The Content-Type is not ${contentType}. Send the file with this type.`);

const UPLOAD_FAULTS = {
  digest: 'The bytes do not have the SHA-256 of Content-Digest. Send them again.',
  end: 'The body does not end an upload in parts. Send {"sha256": …, "etags": [ … ]}.',
  part_number: 'The query has no partNumber of this upload. Number the parts from 1.',
  picture: 'The bytes are not the picture that the internal URL was made for. Send that picture.',
  parts: 'The parts are not those that were uploaded, or not of one size. Upload the file again.',
  upload_id: 'The query has no uploadId. Use the address in Location of the beginning.',
} as const;

export const callbackMalformed = (): DeblurError =>
  new DeblurError('malformed_request', 'The body is not a prediction in the form of Cog. Send one.');

/** A runner's upload by an internal URL. */
export const uploadMalformed = (fault: keyof typeof UPLOAD_FAULTS, cause?: unknown): DeblurError =>
  new DeblurError('malformed_request', UPLOAD_FAULTS[fault], { cause });

// ---- Forms -------------------------------------------------------------------------------------

export const formNeeded = (part: string): DeblurError =>
  new DeblurError(
    'malformed_request',
    `The body is not a form. Send multipart/form-data with the file in the part "${part}".`,
  );

export const formWithoutBoundary = (cause?: unknown): DeblurError =>
  new DeblurError(
    'malformed_request',
    'The Content-Type of the form has no boundary. Let your client set the Content-Type itself.',
    { cause },
  );

export const formBroken = (cause?: unknown): DeblurError =>
  new DeblurError('malformed_request', 'The form is broken or cut off. Send it again.', { cause });

export const fieldMissing = (field: string): DeblurError =>
  new DeblurError('malformed_request', `The request has no field "${field}". Send the picture in it.`);

export const fileInWrongField = (field: string, expected: string): DeblurError =>
  new DeblurError(
    'malformed_request',
    `The picture must be in the field "${expected}"; there is a file in "${shown(field)}". Rename the field.`,
  );

export const severalFiles = (): DeblurError =>
  new DeblurError('malformed_request', 'The form has more than one file. Send one picture in a request.');

export const fieldWithoutName = (): DeblurError =>
  new DeblurError('malformed_request', 'A part of the form has no name. Give every part a name.');

export const fieldTooLong = (field: string, maxBytes: number): DeblurError =>
  new DeblurError(
    'malformed_request',
    `The field "${shown(field)}" has more than ${count(maxBytes, 'byte')}. Send a shorter value.`,
  );

export const formTooLong = (maxBytes: number): DeblurError =>
  new DeblurError(
    'malformed_request',
    `The form has more than ${count(maxBytes, 'byte')} besides the picture. Send fewer and shorter fields.`,
  );

export const tooManyFields = (max: number): DeblurError =>
  new DeblurError('malformed_request', `The form has more than ${count(max, 'field')}. Send fewer.`);

// ---- Options -----------------------------------------------------------------------------------

/**
 * One field at fault.
 * @param message completes a sentence whose subject is the field, and says what is allowed: "must be 1 to 100"
 */
export const invalidOption = (field: string, message: string): DeblurError =>
  invalidOptions([{ field: shown(field), message }]);

export const invalidOptions = (fields: readonly FieldError[]): DeblurError =>
  new DeblurError('invalid_option', listed(fields), { fields });

export const unknownOption = (field: string): DeblurError =>
  unknownOptions([{ field: shown(field), message: 'is not an option here; leave it out' }]);

export const unknownOptions = (fields: readonly FieldError[]): DeblurError =>
  new DeblurError('unknown_option', listed(fields), { fields });

const listed = (fields: readonly FieldError[]): string =>
  fields.map(({ field, message }) => `${field}: ${message}`).join('; ');

export const optionGivenTwice = (field: string): DeblurError =>
  invalidOption(field, 'is given twice with different values; give one');

export const optionWithoutValue = (field: string): DeblurError =>
  invalidOption(field, 'has no value; write name:value');

export const optionTooLong = (field: string, maxCharacters: number): DeblurError =>
  invalidOption(field, `has more than ${count(maxCharacters, 'character')}; shorten it`);

export const optionOutOfRange = (field: string, minimum: string, maximum: string): DeblurError =>
  invalidOption(field, `must be between ${minimum} and ${maximum}`);

export const notADuration = (field: string): DeblurError =>
  invalidOption(field, 'must be a duration such as 30s or 2m');

export const notASourceName = (field: string): DeblurError =>
  invalidOption(field, 'must be an https URL, a base64 data: URI or a file id');

export const dataUriNotBase64 = (field: string): DeblurError =>
  invalidOption(field, 'is not a base64 data: URI; write data:image/jpeg;base64,… with base64 behind the comma');

export const notAJsonObject = (field: string): DeblurError => invalidOption(field, 'must be a JSON object');

export const mustBeInTheFuture = (field: string): DeblurError => invalidOption(field, 'must be a time in the future');

export const mustRepeatTheUrl = (field: string): DeblurError =>
  invalidOption(field, 'must be the id in the URL, or be left out');

export const invalidPredictionId = (): DeblurError =>
  invalidOption('id', 'must have 26 characters, digits and lower-case letters');

export const invalidCursor = (): DeblurError =>
  invalidOption('cursor', 'is not valid; use `next` or `previous` of another page');

/** @param source `file` or `result`: what the text names */
export const namesNoSource = (field: string, source: 'file' | 'result'): DeblurError =>
  invalidOption(field, `names a ${source} that is not stored here, or no longer`);

export const optionContradicts = (field: string, other: string, value: string): DeblurError =>
  invalidOption(field, `is ${shown(other)} here and ${shown(value)} elsewhere in the request; name one`);

export const notAVersion = (field: string): DeblurError =>
  invalidOption(field, 'is neither the name nor the version of a model; GET /v1/models lists both');

export const versionOfAnother = (field: string, model: string): DeblurError =>
  invalidOption(field, `is a version of ${model}; name that model, or leave out the version`);

export const formatCannotHold = (format: string, maxSide: number): DeblurError =>
  invalidOption('format', `${format} holds at most ${count(maxSide, 'pixel')} on a side; ask for another format`);

export const formatNotWritten = (format: string, place: string): DeblurError =>
  invalidOption('format', `${format} is not written ${place}; ask for another format`);

export const encoderRefused = (format: string, cause?: unknown): DeblurError => {
  const message = `the restored picture cannot be written as ${format}; ask for another format`;
  return new DeblurError('invalid_option', `format: ${message}`, { fields: [{ field: 'format', message }], cause });
};

export const encodingHasNoMaster = (field: string): DeblurError =>
  invalidOption(field, 'is for a restoration; leave it out of an encoding');

export const tileRefused = (model: string, size: number): DeblurError =>
  invalidOption('tile', `${model} does not take tiles of ${count(size, 'pixel')}; leave it out`);

export const notAcceptable = (types: readonly string[]): DeblurError =>
  new DeblurError(
    'not_acceptable',
    `The Accept header allows none of the formats that this picture can have: ${types.join(', ')}. Allow one of them.`,
  );

// ---- Idempotency -------------------------------------------------------------------------------

export const idempotencyKeyInFlight = (retryAfterSeconds: number): DeblurError =>
  new DeblurError(
    'idempotency_conflict',
    'Another request with this Idempotency-Key is still running. Send this one again when it has ended.',
    { retryAfterSeconds },
  );

export const idempotencyKeyReused = (): DeblurError =>
  new DeblurError(
    'idempotency_key_reused',
    'This Idempotency-Key belongs to a request with another body. Use a new key for a new request.',
  );

export const predictionIdReused = (): DeblurError =>
  new DeblurError(
    'idempotency_key_reused',
    'A prediction with this id was created by another request. Use a new id for a new request.',
  );
