/**
 * A prediction on the wire: Replicate's resource, in its snake_case, with `progress` and further `metrics`.
 *
 * Where Replicate leaves a choice:
 * - `error` is one string, `code: detail`, or null. The client puts it into a message as it is (`Prediction failed: …`),
 *   and whoever knows the codes of errors.ts gets the code back from it.
 * - a deadline that passes is `failed` with the code `deadline_exceeded`. Replicate's `aborted` does not exist here: its
 *   released client polls for ever on it.
 * - `output` is one absolute URL, not a list.
 * - what is not known yet is null, never absent; a measurement that was not made is absent.
 */
import { z } from 'zod';
import type { WireError } from './errors.ts';
import { SCALES } from '../pixels/working-scale.ts';
import { WEBHOOK_URL_MAX_CHARACTERS } from '../limits.ts';

export const PREDICTION_STATUSES = ['starting', 'processing', 'succeeded', 'failed', 'canceled'] as const;
export type PredictionStatus = (typeof PREDICTION_STATUSES)[number];

export function isTerminal(status: PredictionStatus): boolean {
  return status !== 'starting' && status !== 'processing';
}

/** The subject of a model's name on the wire: `deblur/dhnet-edge`. */
export const MODEL_OWNER = 'deblur';

/** 26 characters of lower-case base32, in whichever alphabet the caller of a PUT writes it. */
export const PREDICTION_ID = /^[a-z0-9]{26}$/;

export const WEBHOOK_EVENTS = ['start', 'output', 'logs', 'completed'] as const;
export type WebhookEvent = (typeof WEBHOOK_EVENTS)[number];

export const webhookEventsFilterSchema = z.array(z.enum(WEBHOOK_EVENTS)).max(WEBHOOK_EVENTS.length);

/** Seconds, of the service's clock, unless said otherwise. */
export const predictionMetricsSchema = z.strictObject({
  predict_time: z.number().describe("Seconds from the beginning of the job's work to its end.").optional(),
  total_time: z.number().describe('Seconds from creation to completion, however it ended.').optional(),
  queue_time: z
    .number()
    .describe('Seconds from creation to the beginning of the work: fetching the source, and waiting for a slot.')
    .optional(),
  tiles: z.int().optional(),
  megapixels: z.number().optional(),
  restored_megapixels: z.number().describe('What the network restored: megapixels / scale².').optional(),
  scale: z.literal(SCALES).describe('The picture was restored at 1/scale of its size.').optional(),
  change: z
    .strictObject({
      mean: z.number().describe('Mean difference to the source, in levels of 255.'),
      max: z.number().describe('Largest difference, in levels of 255.'),
      sharpness: z.number().describe('Energy of the finest structure after over before.'),
    })
    .optional(),
  placement: z.enum(['edge', 'runner']).optional(),
  cache: z.enum(['hit', 'miss', 'coalesced']).optional(),
});

export const predictionSchema = z.strictObject({
  id: z.string().regex(PREDICTION_ID),
  model: z.string().describe('`owner/name` of the model that runs, never `auto`.'),
  version: z.string(),
  status: z.enum(PREDICTION_STATUSES),
  input: z
    .record(z.string(), z.union([z.string(), z.number()]))
    .describe(
      'What was asked for; a picture that came as bytes is named by its digest. Empty once the data was removed.',
    ),
  output: z.url().describe('Where the restored picture is.').nullable(),
  error: z.string().describe('`code: detail`, with a code of the closed list.').nullable(),
  logs: z.string().describe('The progress in a form that clients of Replicate parse: `50%|█████     | 2/4`.'),
  metrics: predictionMetricsSchema,
  progress: z.strictObject({ done: z.int(), total: z.int() }).describe('Tiles.').nullable(),
  urls: z.strictObject({
    get: z.url(),
    cancel: z.url(),
    stream: z.url().describe('Server-sent events, without a key: whoever has the address may watch.'),
    result: z
      .url()
      .describe('Where the result will be, as soon as its name is known; null when there will be none.')
      .nullable(),
  }),
  created_at: z.iso.datetime(),
  started_at: z.iso.datetime().nullable(),
  completed_at: z.iso.datetime().nullable(),
  webhook: z.url().nullable(),
  webhook_events_filter: webhookEventsFilterSchema.nullable(),
  data_removed: z.boolean().describe('`input`, `output` and `logs` are gone: their retention has passed.'),
});

export type Prediction = z.infer<typeof predictionSchema>;
export type PredictionInput = Prediction['input'];
export type PredictionMetrics = Prediction['metrics'];

/** `GET /v1/predictions`, newest first. */
export const predictionListSchema = z.strictObject({
  previous: z.url().nullable(),
  next: z.url().nullable(),
  results: z.array(predictionSchema),
});

export type PredictionList = z.infer<typeof predictionListSchema>;

/** The JSON body of a create, before its `input` is judged by the options' own schema. */
export const createPredictionSchema = z.strictObject({
  id: z.string().describe("Only for PUT, where it repeats the URL's.").optional(),
  version: z
    .string()
    .max(256)
    .describe(
      "A model's name, a model version, or both: `dhnet-edge`, `deblur/dhnet-edge`, 64 hexadecimal digits, `name:version`.",
    )
    .nullish(),
  input: z.record(z.string(), z.unknown()),
  webhook: z
    .string()
    .max(WEBHOOK_URL_MAX_CHARACTERS)
    .describe('Is told of the end, or of what the filter names, by Standard Webhooks.')
    .nullish(),
  webhook_events_filter: webhookEventsFilterSchema.nullish(),
  stream: z.boolean().describe('Of older clients; every prediction has a stream.').optional(),
});

export type CreatePrediction = z.infer<typeof createPredictionSchema>;

/** The form of `error`. */
export const formatPredictionError = ({ code, detail }: WireError): string => `${code}: ${detail}`;
