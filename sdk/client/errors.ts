import type { Open, Prediction } from './types.ts';

/** The service's closed list of codes; its API reference says what each of them means. */
export type ServiceErrorCode =
  | 'malformed_request'
  | 'empty_body'
  | 'unauthorized'
  | 'forbidden'
  | 'not_found'
  | 'method_not_allowed'
  | 'not_acceptable'
  | 'request_timeout'
  | 'idempotency_conflict'
  | 'gone'
  | 'body_too_large'
  | 'unsupported_media_type'
  | 'range_not_satisfiable'
  | 'image_truncated'
  | 'image_undecodable'
  | 'image_too_many_pixels'
  | 'image_animated'
  | 'unknown_option'
  | 'invalid_option'
  | 'idempotency_key_reused'
  | 'model_unavailable'
  | 'source_not_found'
  | 'rate_limited'
  | 'quota_exceeded'
  | 'source_fetch_failed'
  | 'runner_failed'
  | 'runner_busy'
  | 'runner_unavailable'
  | 'service_unavailable'
  | 'deadline_exceeded'
  | 'internal';

/**
 * Failures that no answer of the service names. `connection_failed`: no answer came. `client_timeout`: `timeoutMs` passed.
 * `unexpected_response`: something else than the service answered, such as a proxy. `canceled`: the prediction was
 * cancelled by another request.
 */
export type ClientErrorCode = 'connection_failed' | 'client_timeout' | 'unexpected_response' | 'canceled';

export type ErrorCode = Open<ServiceErrorCode | ClientErrorCode>;

export interface FieldError {
  readonly field: string;
  readonly message: string;
}

export interface DeblurErrorInit {
  readonly status?: number | undefined;
  readonly requestId?: string | undefined;
  readonly fields?: readonly FieldError[] | undefined;
  readonly retryAfterSeconds?: number | undefined;
  readonly prediction?: Prediction | undefined;
  readonly cause?: unknown;
}

/** Every failure of this package, except the reason of an AbortSignal and a TypeError for a wrong argument. */
export class DeblurError extends Error {
  override readonly name = 'DeblurError';
  readonly code: ErrorCode;
  /** What happened, for people. */
  readonly detail: string;
  /** HTTP status; undefined where no answer came or where a prediction failed. */
  readonly status: number | undefined;
  /** Names the request in the service's log. */
  readonly requestId: string | undefined;
  /** Every field of the request that is at fault. */
  readonly fields: readonly FieldError[];
  /** How long to wait before the same request is sent again. */
  readonly retryAfterSeconds: number | undefined;
  /** The prediction that failed. */
  readonly prediction: Prediction | undefined;

  constructor(code: ErrorCode, detail: string, init: DeblurErrorInit = {}) {
    super(`${code}: ${detail}`, init.cause === undefined ? undefined : { cause: init.cause });
    this.code = code;
    this.detail = detail;
    this.status = init.status;
    this.requestId = init.requestId;
    this.fields = init.fields ?? [];
    this.retryAfterSeconds = init.retryAfterSeconds;
    this.prediction = init.prediction;
  }
}

/** The error of an answer that is no success: its problem document (RFC 9457), or what else came. */
export async function errorOf(response: Response, now: number): Promise<DeblurError> {
  const { status, headers } = response;
  const retryAfterSeconds = retryAfterOf(headers.get('retry-after'), now);
  const problem: unknown = await response.json().catch(() => null);
  const { code, detail, request_id, errors } = (problem ?? {}) as Record<string, unknown>;
  if (typeof code !== 'string' || typeof detail !== 'string') {
    const server = response.url === '' ? 'The server' : new URL(response.url).origin;
    const detail = `${server} answered ${status} without a problem document: is it a Deblur service?`;
    return new DeblurError('unexpected_response', detail, { status, retryAfterSeconds });
  }
  const requestId = typeof request_id === 'string' ? request_id : undefined;
  const fields = Array.isArray(errors) ? (errors as FieldError[]) : [];
  return new DeblurError(code, detail, { status, requestId, fields, retryAfterSeconds });
}

/** The error of a prediction that ended without a picture. */
export function errorOfPrediction(prediction: Prediction): DeblurError {
  if (prediction.status === 'canceled') {
    return new DeblurError('canceled', `Prediction ${prediction.id} was cancelled.`, { prediction });
  }
  const text = prediction.error ?? '';
  const [, code, detail] = /^([a-z_]+): (.*)$/s.exec(text) ?? [];
  return new DeblurError(code ?? 'internal', detail ?? (text || 'The prediction failed.'), { prediction });
}

/** RFC 9110 § 10.2.3: seconds, or a date. Undefined for neither. */
function retryAfterOf(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  if (/^\s*\d{1,9}\s*$/.test(header)) return Number(header);
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, Math.ceil((at - now) / 1000));
}
