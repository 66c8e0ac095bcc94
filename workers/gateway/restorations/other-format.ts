/** Another format of a stored result, encoded from its master: no inference. */
import { DEFAULT_QUALITY, DEFAULT_WAIT_SECONDS } from '@deblur/shared/limits.ts';
import { acceptsFormat, negotiateFormat } from '@deblur/shared/protocol/accept.ts';
import { DeblurError, waitExpired } from '@deblur/shared/protocol/errors.ts';
import type { PictureSize } from '@deblur/shared/protocol/format-limits.ts';
import { MEDIA_TYPES, OUTPUT_FORMATS, type EncodeOptions, type OutputFormat } from '@deblur/shared/protocol/options.ts';
import { canonicalEncoding, type PictureKeys } from '@deblur/shared/protocol/result-key.ts';
import type { JobRequest, Jobs } from '../jobs/ports.ts';
import type { ResultStore } from '../results/result-store.ts';
import type { RestorationFacts, StoredResult } from '../results/stored-result.ts';
import type { RateLimits } from '../tenants/access-ports.ts';
import { withTimeout } from '../with-timeout.ts';
import { pay, type Payment } from './claim-restoration.ts';
import { placeEncoding } from './placement.ts';

export interface OtherFormatPorts {
  readonly keys: PictureKeys;
  readonly results: Pick<ResultStore, 'head'>;
  readonly jobs: Pick<Jobs, 'obtain'>;
  readonly rateLimits: Pick<RateLimits, 'charge'>;
}

/**
 * The result that answers a request for a stored one with this `Accept`: the stored one, wherever the caller takes its format
 * or nothing better can be had (RFC 9110 § 12.4.1 lets us disregard Accept), else another format that the caller takes.
 * @param payment by which the caller has an encoding made that is not stored; null: none is made for this caller
 * @returns a ResultKey
 * @throws {DeblurError} `rate_limited`, and why the other format could not be encoded
 */
export async function acceptableFormat(
  ports: OtherFormatPorts,
  stored: StoredResult,
  accept: string,
  payment: Payment | null,
): Promise<string> {
  const own = formatOf(stored);
  if (stored.restoration === null) return stored.key;
  const format = formatFor(accept, own, stored.restoration);
  if (format === own) return stored.key;
  const encoding = encodingIn(format, own, stored.restoration);
  const key = await ports.keys.result(stored.restoration.restorationKey, encoding);
  if ((await ports.results.head('result', key))?.kind === 'stored') return key;
  if (payment === null) return stored.key;
  if ((await ports.results.head('master', stored.restoration.restorationKey))?.kind !== 'stored') return stored.key;
  await pay(ports.rateLimits, payment, 0);
  const job = encodingJob(stored, stored.restoration, key, encoding);
  await withTimeout(ports.jobs.obtain(job), DEFAULT_WAIT_SECONDS * 1000, waitExpired);
  return key;
}

/** The ResultKeys of a restoration that `acceptableFormat` may have made of a result, without the result's own. */
export function otherFormatKeys(keys: PictureKeys, stored: StoredResult): Promise<string[]> {
  const { restoration } = stored;
  if (restoration === null) return Promise.resolve([]);
  const own = formatOf(stored);
  const others = OUTPUT_FORMATS.filter((format) => format !== own);
  return Promise.all(
    others.map((format) => keys.result(restoration.restorationKey, encodingIn(format, own, restoration))),
  );
}

function formatOf({ contentType }: StoredResult): OutputFormat {
  return OUTPUT_FORMATS.find((format) => MEDIA_TYPES[format] === contentType) ?? 'png';
}

/** The stored format also when the caller takes none of ours. A format that is only liked less is no reason to encode. */
function formatFor(accept: string, stored: OutputFormat, size: PictureSize): OutputFormat {
  if (acceptsFormat(accept, stored)) return stored;
  try {
    return negotiateFormat(accept, stored, size);
  } catch (error) {
    if (error instanceof DeblurError) return stored;
    throw error;
  }
}

/** A lossless format has no quality to hand on. */
function encodingIn(format: OutputFormat, own: OutputFormat, { quality, metadata }: RestorationFacts): EncodeOptions {
  return canonicalEncoding({ format, quality: own === 'png' ? DEFAULT_QUALITY : quality, metadata });
}

function encodingJob(
  { model, modelVersion }: StoredResult,
  facts: RestorationFacts,
  resultKey: string,
  encoding: EncodeOptions,
): JobRequest {
  const { restorationKey, sourceKey, width, height, bitDepth } = facts;
  const restoration = { ...facts, quality: encoding.quality, metadata: encoding.metadata };
  // A master is a PNG of the source's size and depth.
  const placement = placeEncoding({
    header: { format: 'png', width, height, bitDepth, cmyk: false },
    output: encoding.format,
  });
  return {
    task: { model, modelVersion, restorationKey, resultKey, sourceKey, encoding, restoration },
    placement,
    encodePlacement: placement,
  };
}
