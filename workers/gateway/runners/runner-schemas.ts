/** Failures as runners report them, turned back into ours. */
import {
  isErrorCode,
  fromWireError,
  runnerFailed,
  runnerHasOtherVersion,
  type DeblurError,
  type ErrorCode,
} from '@deblur/shared/protocol/errors.ts';

const DETAIL_MAX_CHARACTERS = 500;

/**
 * @param code what the runner named; outside the closed list, or `internal`, it is the runner's failure, not ours
 */
export function runnerError(code: string, detail: string): DeblurError {
  // The gateway has chosen a model that is there: the runner was deployed with another one, and will not have it for long.
  if (code === 'model_unavailable') return runnerHasOtherVersion();
  if (!isErrorCode(code) || !MAY_PASS.has(code)) return runnerFailed('broken');
  return fromWireError({ code, detail: detail.slice(0, DETAIL_MAX_CHARACTERS) });
}

/** What a runner may say about a picture or about itself; it has no say about the caller's request. */
const MAY_PASS: ReadonlySet<ErrorCode> = new Set([
  'body_too_large',
  'unsupported_media_type',
  'image_truncated',
  'image_undecodable',
  'image_too_many_pixels',
  'image_animated',
  'invalid_option',
  'runner_failed',
  'runner_busy',
  'runner_unavailable',
  'deadline_exceeded',
]);

/** Parses the `code: detail` of a Cog prediction's error. */
export function parseGpuError(error: string): DeblurError {
  const match = /^([a-z_]+): ([\s\S]*)$/.exec(error);
  return runnerError(match?.[1] ?? '', match?.[2] ?? '');
}
