export { deblur, Deblur, type DeblurOptions, type DeblurResult } from './deblur.ts';
export { DeblurError, type ClientErrorCode, type ErrorCode, type FieldError, type ServiceErrorCode } from './errors.ts';
export type { Files, UploadOptions } from './files.ts';
export type { Picture } from './picture.ts';
export type { CreateOptions, FollowOptions, Predictions, WaitOptions } from './predictions.ts';
export type { ClientOptions } from './transport.ts';
export type {
  Prediction,
  PredictionEvent,
  PredictionMetrics,
  PredictionStatus,
  Progress,
  RestoreOptions,
  StoredFile,
  WebhookEventName,
} from './types.ts';
