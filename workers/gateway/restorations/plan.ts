/** From a picture and options to the job that restores it: which model, which keys, where. */
import { negotiateFormat } from '@deblur/shared/protocol/accept.ts';
import { assertFormatHolds } from '@deblur/shared/protocol/format-limits.ts';
import type { EncodeOptions, Options } from '@deblur/shared/protocol/options.ts';
import { canonicalEncoding, restorationKey, resultKey } from '@deblur/shared/protocol/result-key.ts';
import type { TraceContext } from '@deblur/shared/protocol/trace-context.ts';
import type { AvailableModel } from './models.ts';
import { placeEncoding, placeRestoration } from './placement.ts';
import type { JobRequest } from '../jobs/ports.ts';
import type { ReceivedSource } from '../sources/ports.ts';

export interface JobQuestion {
  readonly source: Pick<ReceivedSource, 'digest' | 'bytes' | 'header'>;
  readonly options: Options;
  /** The caller's `Accept`, which decides `format=auto`; null: the source's own format. */
  readonly accept: string | null;
  /** Of the request that asks. */
  readonly trace?: TraceContext | undefined;
}

/** @throws {DeblurError} `not_acceptable`; `invalid_option` when the named format cannot hold the picture */
export async function planJob(model: AvailableModel, question: JobQuestion): Promise<JobRequest> {
  const { source, options, accept, trace } = question;
  const { header, bytes, digest } = source;
  const { tile, quality, metadata } = options;
  const format = options.format === 'auto' ? negotiateFormat(accept, header.format, header) : options.format;
  assertFormatHolds(format, header);
  const encoding: EncodeOptions = canonicalEncoding({ format, quality, metadata });
  const restoration = { sourceDigest: digest, model: model.name, modelVersion: model.version };
  const key = await restorationKey({ ...restoration, tile });
  const placed = { header, bytes, output: format };
  return {
    task: {
      ...restoration,
      ...(tile === undefined ? {} : { tile }),
      restorationKey: key,
      resultKey: await resultKey(key, encoding),
      encoding,
    },
    placement: placeRestoration({ ...placed, placements: model.placements, tile }),
    encodePlacement: placeEncoding(placed),
    ...(trace === undefined ? {} : { trace }),
  };
}

export const megapixelsOf = ({ header }: JobQuestion['source']): number => (header.width * header.height) / 1e6;
