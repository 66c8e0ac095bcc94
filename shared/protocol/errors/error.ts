/**
 * The closed list of failures and the one table that maps each to the wire (RFC 9457 problem details).
 * A code without a row does not compile. The texts stand in the constructors beside this file, by subject; nothing else
 * makes a DeblurError.
 */

interface ErrorRow {
  readonly status: number;
  readonly title: string;
  /** The same request may succeed later, unchanged. */
  readonly retryable: boolean;
}

export const ERRORS = {
  malformed_request: { status: 400, title: 'The request is malformed', retryable: false },
  empty_body: { status: 400, title: 'The body is empty', retryable: false },
  unauthorized: { status: 401, title: 'An API key is needed', retryable: false },
  forbidden: { status: 403, title: 'Not allowed', retryable: false },
  not_found: { status: 404, title: 'No such resource', retryable: false },
  method_not_allowed: { status: 405, title: 'Method not allowed here', retryable: false },
  not_acceptable: { status: 406, title: 'No format that you accept can be made', retryable: false },
  request_timeout: { status: 408, title: 'The body did not arrive in time', retryable: true },
  idempotency_conflict: { status: 409, title: 'A request with this idempotency key is in flight', retryable: true },
  gone: { status: 410, title: 'The resource is gone', retryable: false },
  body_too_large: { status: 413, title: 'The body is too large', retryable: false },
  unsupported_media_type: { status: 415, title: 'Not a supported picture', retryable: false },
  range_not_satisfiable: { status: 416, title: 'The range lies outside the result', retryable: false },
  image_truncated: { status: 422, title: 'The picture is truncated', retryable: false },
  image_undecodable: { status: 422, title: 'The picture cannot be decoded', retryable: false },
  image_too_many_pixels: { status: 422, title: 'The picture has too many pixels', retryable: false },
  image_animated: { status: 422, title: 'Animated and multi-page pictures are not restored', retryable: false },
  unknown_option: { status: 422, title: 'Unknown option', retryable: false },
  invalid_option: { status: 422, title: 'Invalid option', retryable: false },
  idempotency_key_reused: { status: 422, title: 'The idempotency key belongs to another request', retryable: false },
  model_unavailable: { status: 422, title: 'The model has no trained weights', retryable: false },
  source_not_found: { status: 422, title: 'There is no picture at the address of the source', retryable: false },
  rate_limited: { status: 429, title: 'Too much in too short a time', retryable: true },
  quota_exceeded: { status: 429, title: 'As many are stored as are allowed', retryable: true },
  source_fetch_failed: { status: 502, title: 'The source could not be fetched', retryable: true },
  runner_failed: { status: 502, title: 'The runner failed', retryable: true },
  runner_busy: { status: 503, title: 'Every slot is busy', retryable: true },
  runner_unavailable: { status: 503, title: 'The runner is not ready', retryable: true },
  service_unavailable: { status: 503, title: 'A part of the service is not available', retryable: true },
  deadline_exceeded: { status: 504, title: 'The deadline passed', retryable: true },
  internal: { status: 500, title: 'Something went wrong on our side', retryable: true },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERRORS, value);
}

/** One invalid part of a request: where it is and what is wrong with it. */
export interface FieldError {
  readonly field: string;
  readonly message: string;
}

export interface DeblurErrorOptions {
  readonly fields?: readonly FieldError[] | undefined;
  readonly retryAfterSeconds?: number | undefined;
  readonly cause?: unknown;
}

/** A failure that we name. `detail` is public: it never carries paths, stack traces, tokens or another user's data. */
export class DeblurError extends Error {
  override readonly name = 'DeblurError';
  readonly code: ErrorCode;
  readonly detail: string;
  readonly fields: readonly FieldError[];
  readonly retryAfterSeconds: number | undefined;

  constructor(code: ErrorCode, detail: string, options: DeblurErrorOptions = {}) {
    super(`${code}: ${detail}`, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.detail = detail;
    this.fields = options.fields ?? [];
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

/** Whether the cause of an error may pass by itself: then, and only then, the error says when to try again. */
export const isTemporary = (error: unknown): boolean =>
  error instanceof DeblurError && error.retryAfterSeconds !== undefined;

/** For our own log: the cause that the caller is not told. Undefined for a failure without one. */
export function hiddenCause(failure: unknown): string | undefined {
  const cause = failure instanceof DeblurError ? failure.cause : failure;
  if (cause === undefined) return undefined;
  return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
}

/** An error as a runner sends it: plain data, because classes do not survive RPC or JSON. */
export interface WireError {
  readonly code: ErrorCode;
  readonly detail: string;
}

export function toWireError(error: unknown): WireError {
  if (error instanceof DeblurError) return { code: error.code, detail: error.detail };
  return { code: 'internal', detail: 'The runner failed in an unexpected way. Try again.' };
}

/** The error of a reply or a stored record, which carries the text of another process. */
export function fromWireError(error: WireError, options?: DeblurErrorOptions): DeblurError {
  return new DeblurError(error.code, error.detail, options);
}
