/** Another format of a stored result, encoded from its master: no inference. */
import { acceptsFormat, negotiateFormat } from '@deblur/shared/protocol/accept.ts';
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import { DEFAULT_QUALITY, DEFAULT_WAIT_SECONDS } from '@deblur/shared/limits.ts';
import type { PictureSize } from '@deblur/shared/protocol/format-limits.ts';
import type { EncodeOptions, OutputFormat } from '@deblur/shared/protocol/options.ts';
import { canonicalEncoding, resultKey } from '@deblur/shared/protocol/result-key.ts';
import type { DeblurPorts } from './deblur.ts';
import { placeEncoding } from './placement.ts';
import type { References, ResultOrigin, ResultOrigins } from '../references/ports.ts';
import { withTimeout } from '../with-timeout.ts';

export interface SiblingPorts extends Pick<DeblurPorts, 'results' | 'jobs'> {
  readonly references: References;
  readonly origins: ResultOrigins;
}

/**
 * The result that answers a request for `key` with this `Accept`: itself, wherever the caller takes its format or nothing
 * better can be had (RFC 9110 § 12.4.1 lets us disregard Accept), else its sibling in a format that the caller takes.
 * @returns a ResultKey
 * @throws {DeblurError} why the sibling could not be encoded
 */
export async function acceptableSibling(ports: SiblingPorts, origin: ResultOrigin, accept: string): Promise<string> {
  const { task } = origin.request;
  const format = acceptableFormat(accept, task.encoding.format, origin.header);
  if (format === null || format === task.encoding.format) return task.resultKey;
  const sibling = await siblingOf(origin, format);
  const { resultKey: key } = sibling.request.task;
  const [stored, master] = await Promise.all([
    ports.results.head('result', key),
    ports.results.head('master', task.restorationKey),
  ]);
  if (stored === null && master === null) return task.resultKey;
  // Whoever may erase the one may erase the other; what nobody holds has no one to make siblings for.
  if (!(await ports.references.derive(task.resultKey, sibling))) return task.resultKey;
  if (stored === null) await withTimeout(ports.jobs.obtain(sibling.request), DEFAULT_WAIT_SECONDS * 1000, waitExpired);
  return key;
}

/** Null when the caller takes none of ours. One that it only likes less than others is no reason to encode. */
function acceptableFormat(accept: string, stored: OutputFormat, size: PictureSize): OutputFormat | null {
  if (acceptsFormat(accept, stored)) return stored;
  try {
    return negotiateFormat(accept, stored, size);
  } catch (error) {
    if (error instanceof DeblurError) return null;
    throw error;
  }
}

async function siblingOf({ request, header }: ResultOrigin, format: OutputFormat): Promise<ResultOrigin> {
  const { encoding, restorationKey } = request.task;
  // A lossless format has no quality to hand on.
  const quality = encoding.format === 'png' ? DEFAULT_QUALITY : encoding.quality;
  const other: EncodeOptions = canonicalEncoding({ ...encoding, format, quality });
  return {
    header,
    request: {
      ...request,
      task: { ...request.task, encoding: other, resultKey: await resultKey(restorationKey, other) },
      encodePlacement: placeEncoding({ header, output: format }),
    },
  };
}

function waitExpired(): DeblurError {
  return new DeblurError('deadline_exceeded', 'The other format was not encoded in time.');
}
