/** The body of a create: JSON as at Replicate, a form, or the picture itself with everything else in the query. */
import { fieldMissing, mustRepeatTheUrl } from '@deblur/shared/protocol/errors.ts';
import { ASYNC_UPLOAD_MAX_BYTES, JSON_BODY_MAX_BYTES, MULTIPART_FIELDS_MAX_BYTES } from '@deblur/shared/limits.ts';
import { optionError, parseOptions } from '@deblur/shared/protocol/options.ts';
import { createPredictionSchema, type CreatePrediction } from '@deblur/shared/protocol/prediction.ts';
import type { CreatePredictionRequest } from '../../predictions/create-prediction.ts';
import type { SourceStore } from '../../sources/source-store.ts';
import { assertContentLength, bodyChunks, bodyText } from './body.ts';
import { readForm } from './form.ts';
import { parseJsonObject } from './json.ts';
import { mergeEntries, receivePart, receiveRaw, receiveText, type Entries } from './upload.ts';

/** What is said in the body and in the query. */
export type CreateBody = Pick<CreatePredictionRequest, 'image' | 'options' | 'given' | 'webhook' | 'webhookEvents'> & {
  readonly version: string | null;
  readonly inputModel: CreatePredictionRequest['options']['model'] | undefined;
};

type Terms = Omit<CreateBody, 'image'>;

/**
 * @param id the URL's, for a PUT: the body may repeat it
 * @throws {DeblurError} whatever is wrong with the body, the options or the picture; nothing is left stored
 */
export async function readCreate(
  request: Request,
  sources: Pick<SourceStore, 'receive'>,
  id?: string,
): Promise<CreateBody> {
  const contentType = request.headers.get('content-type') ?? '';
  const mediaType = contentType.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  const query: Entries = [...new URL(request.url).searchParams];
  if (mediaType === 'application/json') return readJson(request, query, sources, id);
  if (mediaType === 'multipart/form-data') return readFormCreate(request, contentType, query, sources);
  const terms = flatTerms(query);
  assertContentLength(request.headers.get('content-length') ?? undefined, ASYNC_UPLOAD_MAX_BYTES);
  return { ...terms, image: await receiveRaw(request, mediaType, sources, ASYNC_UPLOAD_MAX_BYTES) };
}

async function readJson(
  request: Request,
  query: Entries,
  sources: Pick<SourceStore, 'receive'>,
  id?: string,
): Promise<CreateBody> {
  assertContentLength(request.headers.get('content-length') ?? undefined, JSON_BODY_MAX_BYTES);
  const parsed = createPredictionSchema.safeParse(parseJsonObject(await bodyText(request.body, JSON_BODY_MAX_BYTES)));
  if (!parsed.success) throw optionError(parsed.error);
  const { image, ...options } = parsed.data.input;
  if (parsed.data.id !== undefined && parsed.data.id !== id) throw mustRepeatTheUrl('id');
  const terms = termsOf(parsed.data, query, Object.entries(options));
  return { ...terms, image: await receiveText(image, sources) };
}

async function readFormCreate(
  request: Request,
  contentType: string,
  query: Entries,
  sources: Pick<SourceStore, 'receive'>,
): Promise<CreateBody> {
  const maxBytes = ASYNC_UPLOAD_MAX_BYTES + MULTIPART_FIELDS_MAX_BYTES;
  assertContentLength(request.headers.get('content-length') ?? undefined, maxBytes);
  const { image: picture, fields } = await readForm(bodyChunks(request.body, maxBytes), contentType, (part, head) =>
    receivePart(part, head, sources, ASYNC_UPLOAD_MAX_BYTES),
  );
  if (picture === undefined) throw fieldMissing('image');
  try {
    return { ...flatTerms(query, fields), image: picture.image };
  } catch (error) {
    await picture.discard();
    throw error;
  }
}

/** Outside JSON everything stands on one level: options beside `version` and the webhook. */
function flatTerms(...places: readonly Entries[]): Terms {
  const { version, webhook, webhook_events_filter: filter, ...options } = mergeEntries(...places);
  const parsed = createPredictionSchema.safeParse({
    version,
    webhook,
    webhook_events_filter: typeof filter === 'string' ? filter.split(',').map((event) => event.trim()) : undefined,
    input: {},
  });
  if (!parsed.success) throw optionError(parsed.error);
  return termsOf(parsed.data, Object.entries(options));
}

function termsOf({ version, webhook, webhook_events_filter }: CreatePrediction, ...places: readonly Entries[]): Terms {
  const asked = mergeEntries(...places);
  const options = parseOptions(asked);
  const given = Object.entries(options).flatMap(([name, value]) =>
    value === undefined || !Object.hasOwn(asked, name) ? [] : [[name, value] as const],
  );
  return {
    options,
    given: Object.fromEntries(given),
    version: version ?? null,
    inputModel: Object.hasOwn(asked, 'model') ? options.model : undefined,
    webhook: webhook ?? null,
    webhookEvents: webhook_events_filter ?? null,
  };
}
