/** JSON Schemas (draft 2020-12, OpenAPI 3.1's own) from the zod schemas that validate requests and type answers. */
import { optionsSchema } from '@deblur/shared/protocol/options.ts';
import { createPredictionSchema, predictionListSchema, predictionSchema } from '@deblur/shared/protocol/prediction.ts';
import { z } from 'zod';
import { newKeySchema } from '../routes/keys.ts';
import * as wire from '../api-schemas.ts';

const image = z
  .string()
  .describe('`https://…`, `data:…;base64,…`, or of a prediction also the id of a file that was uploaded.');

const deblurJsonSchema = optionsSchema.extend({ image });

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** By the names that the document gives them. */
const REQUESTS = {
  DeblurRequest: deblurJsonSchema,
  PredictionRequest: createPredictionSchema.extend({ input: deblurJsonSchema }),
  KeyRequest: newKeySchema,
};

const ANSWERS = {
  Problem: wire.problemSchema,
  Prediction: predictionSchema,
  PredictionList: predictionListSchema,
  WebhookEvent: wire.webhookSchema,
  DeliveryList: wire.deliveryListSchema,
  Replay: wire.replaySchema,
  PendingPicture: wire.pendingPictureSchema,
  File: wire.fileSchema,
  FileList: wire.fileListSchema,
  Model: wire.modelSchema,
  ModelList: wire.modelListSchema,
  Key: wire.keySchema,
  CreatedKey: wire.createdKeySchema,
  KeyList: wire.keyListSchema,
  WebhookSecret: wire.webhookSecretSchema,
  Health: wire.healthSchema,
};

export type SchemaName = keyof typeof REQUESTS | keyof typeof ANSWERS;

const pathOf = (name: string): string => `#/components/schemas/${name}`;

export const ref = (name: SchemaName) => ({ $ref: pathOf(name) });

/** `components.schemas`. */
export function componentSchemas(): Record<string, object> {
  return { ...namedSchemas(REQUESTS, 'input'), ...namedSchemas(ANSWERS, 'output') };
}

function namedSchemas(types: Readonly<Record<string, z.ZodType>>, io: 'input' | 'output'): Record<string, object> {
  const registry = z.registry<{ id: string }>();
  for (const [id, type] of Object.entries(types)) registry.add(type, { id });
  const { schemas } = z.toJSONSchema(registry, { ...CONVERSION, io, uri: pathOf });
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, plain(schema)]));
}

/** A schema that stands where it is used. */
export function inlineSchema(type: z.ZodType): JsonSchema {
  return plain(z.toJSONSchema(type, { ...CONVERSION, io: 'input' }));
}

/** Without dialect and name of its own: the document says the one, and the place in it is the other. */
function plain(schema: JsonSchema): JsonSchema {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => key !== '$schema' && key !== '$id'));
}

/** Parameters of a query from the schema that judges it. */
export function queryParameters({ shape }: z.ZodObject): object[] {
  return Object.entries(shape).map(([name, type]) => {
    const { description, ...schema } = inlineSchema(type as z.ZodType);
    return { name, in: 'query', ...(description === undefined ? {} : { description }), schema };
  });
}

const CONVERSION: z.core.ToJSONSchemaParams = {
  override: (context) => tidy(context.zodSchema._zod.def, context.jsonSchema),
};

/**
 * Leaves out what says nothing, and tells defaults in the description. Generated clients would send a `default` with every
 * request, where the query of one and the body of the other contradict each other, or ask every caller for the property.
 */
function tidy(def: z.core.$ZodTypes['_zod']['def'], schema: JsonSchema): void {
  if (def.type === 'default') {
    schema.description = `${schema.description ?? ''} Default: \`${String(def.defaultValue)}\`.`.trim();
    delete schema.default;
  }
  if (schema.format === 'date-time') delete schema.pattern;
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
  if (def.type === 'record') delete schema.propertyNames;
}
