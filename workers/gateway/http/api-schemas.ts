/** What the gateway answers besides predictions (`@deblur/shared/protocol/prediction.ts`): the document is made of it, and handlers are typed by it. */
import { HEX_SHA256 } from '@deblur/shared/net/digest.ts';
import { ERRORS, type ErrorCode } from '@deblur/shared/protocol/errors.ts';
import { modelNameSchema } from '@deblur/shared/protocol/options.ts';
import { predictionSchema, WEBHOOK_EVENTS } from '@deblur/shared/protocol/prediction.ts';
import { z } from 'zod';

const sha256 = z.string().regex(HEX_SHA256);
const time = z.iso.datetime();

/** RFC 9457. */
export const problemSchema = z.strictObject({
  type: z.string().describe('`urn:deblur:problem:{code}`: a name, not an address.'),
  title: z.string(),
  status: z.int(),
  detail: z.string().describe('What is wrong with this request.'),
  code: z.enum(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]),
  request_id: z.string(),
  errors: z
    .array(z.strictObject({ field: z.string(), message: z.string() }))
    .describe('Every field at fault.')
    .optional(),
});

export const healthSchema = z.strictObject({
  status: z.enum(['ok', 'unavailable']),
  parts: z
    .strictObject({ edge: z.string(), runner: z.string() })
    .describe("Each placement's own word: READY, BUSY, STARTING, SETUP_FAILED, …, or UNREACHABLE."),
});

// ---- Models ------------------------------------------------------------------------------------

const quality = z.object({ psnr: z.number().describe('dB'), ssim: z.number() });

const modelShape = {
  name: modelNameSchema,
  available: z.boolean().describe('Whether it restores here; by name it is refused otherwise.'),
  trained: z.boolean(),
  version: sha256.nullable(),
  parameters: z.int().nullable(),
  macs_256: z.int().describe('Multiply-accumulates of one 256×256 tile.').nullable(),
  paper: z.string().nullable(),
  placements: z.array(z.strictObject({ placement: z.enum(['edge', 'runner']), max_pixels: z.int() })),
  seconds_per_megapixel: z
    .number()
    .describe('On the runner, as it measured when it started; null where that is not known.')
    .nullable(),
  measured: z
    .array(z.strictObject({ set: z.string(), images: z.int(), input: quality, output: quality }))
    .describe('Blurred and restored pictures against their sharp twins, mean per set.'),
};

export const modelListSchema = z.strictObject({
  auto: modelNameSchema.describe('What `model=auto` takes for a picture that the edge restores.').nullable(),
  models: z.array(z.strictObject(modelShape)),
});

export const modelSchema = z.strictObject({
  url: z.url(),
  owner: z.string(),
  description: z.string(),
  visibility: z.literal('public'),
  paper_url: z.string().nullable(),
  latest_version: z.strictObject({ id: sha256, cog_version: z.null(), openapi_schema: z.null() }).nullable(),
  ...modelShape,
});

// ---- What belongs to a tenant ------------------------------------------------------------------

const page = <Item extends z.ZodType>(item: Item) =>
  z.strictObject({ previous: z.url().nullable(), next: z.url().nullable(), results: z.array(item) });

export const fileSchema = z.strictObject({
  id: z.string().describe('Usable as `input.image` of a prediction, and so is `urls.get`.'),
  name: z.string(),
  content_type: z.string().describe('By the bytes, whatever type was declared.'),
  size: z.int().describe('Bytes.'),
  etag: z.string(),
  checksums: z.strictObject({ sha256 }),
  metadata: z.record(z.string(), z.unknown()).describe("The caller's own."),
  created_at: time,
  expires_at: time,
  urls: z.strictObject({ get: z.url() }),
});

export const fileListSchema = page(fileSchema);

export const keySchema = z.strictObject({
  id: z.string(),
  tenant: z.string(),
  name: z.string(),
  scopes: z.array(z.enum(['create', 'read', 'delete', 'admin'])),
  created_at: time,
  last_used_at: time.describe('To the hour.').nullable(),
  expires_at: time.nullable(),
});

export const createdKeySchema = keySchema.extend({ key: z.string().describe('Shown here and never again.') });

export const keyListSchema = page(keySchema);

export const webhookSecretSchema = z.strictObject({
  key: z
    .string()
    .regex(/^whsec_/)
    .describe('Of Standard Webhooks: base64 behind the prefix.'),
});

// ---- Webhooks ----------------------------------------------------------------------------------

const webhookType = z.enum(WEBHOOK_EVENTS.map((event) => `prediction.${event}` as const));

/** The body of a webhook. */
export const webhookSchema = z.strictObject({ type: webhookType, timestamp: time, ...predictionSchema.shape });

export const deliveryListSchema = z.strictObject({
  results: z.array(
    z.strictObject({
      n: z.int(),
      webhook_id: z.string().describe('`webhook-id` of every attempt.'),
      type: webhookType,
      url: z.string(),
      state: z.enum(['pending', 'sending', 'delivered', 'exhausted', 'disabled', 'superseded']),
      created_at: time,
      next_attempt_at: time.nullable(),
      attempts: z.array(
        z.strictObject({
          at: time,
          status: z.int().describe("The receiver's; null when there was no answer.").nullable(),
          latency_ms: z.number(),
          error: z.enum(['timeout', 'connection_failed', 'url_refused', 'not_signed']).nullable(),
        }),
      ),
    }),
  ),
});

export const replaySchema = z.strictObject({ replayed: z.int().describe('`n` of the delivery.') });

/** 202 of an image link. */
export const pendingPictureSchema = z.strictObject({
  status: z.literal('processing'),
  result: z.string().describe('The path where the result will be.'),
});
