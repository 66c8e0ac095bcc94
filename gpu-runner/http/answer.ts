/** A prediction as its caller wants it: JSON, or the restored picture itself. */
import { ERRORS } from '@deblur/shared/protocol/errors.ts';
import { MEDIA_TYPES, OUTPUT_FORMATS, type OutputFormat } from '@deblur/shared/protocol/options.ts';
import type { Context } from 'hono';
import { accepts } from 'hono/accepts';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { predictionJson } from '../predictions/prediction-json.ts';
import type { Prediction } from '../predictions/prediction.ts';

const ANY_PICTURE = 'image/*';
const JSON_TYPE = 'application/json';

/** @param prediction one that is over, for a caller that has waited for it */
export async function finalAnswer(c: Context, prediction: Prediction): Promise<Response> {
  if (acceptedType(c) === JSON_TYPE) return answer(c, prediction);
  const { file } = prediction;
  // Who looks at the status only must not take an error for a picture.
  if (file === undefined) return answer(c, prediction, statusWithoutFile(prediction));
  return c.body(file.bytes as Uint8Array<ArrayBuffer>, 200, {
    'Content-Type': MEDIA_TYPES[file.format],
    'X-Prediction-Id': prediction.id,
    ...(prediction.model === undefined ? {} : { 'X-Model': prediction.model.name }),
  });
}

/** The prediction as it is now. */
export async function answer(
  c: Context,
  prediction: Prediction,
  status: ContentfulStatusCode = 200,
): Promise<Response> {
  return c.body(await predictionJson(prediction.snapshot()), status, { 'Content-Type': JSON_TYPE });
}

function statusWithoutFile({ status, error }: Prediction): ContentfulStatusCode {
  if (error !== undefined) return ERRORS[error.code].status;
  // It was uploaded, or cancelled.
  return status === 'succeeded' ? 200 : 409;
}

/** The format that the caller names as the one it wants back, when it wants the picture itself. */
export function acceptedFormat(c: Context): OutputFormat | undefined {
  const type = acceptedType(c);
  return OUTPUT_FORMATS.find((format) => MEDIA_TYPES[format] === type);
}

/** Whoever takes anything gets JSON, as from Cog. */
function acceptedType(c: Context): string {
  const supports = [ANY_PICTURE, ...Object.values(MEDIA_TYPES), JSON_TYPE];
  return accepts(c, { header: 'Accept', supports, default: JSON_TYPE });
}
