/** The interface as OpenAPI 3.1, from the schemas that validate; `Input` and `Output` are where Cog and Replicate look. */
import { gpuInputSchema, gpuOutputSchema, restoreReportSchema } from '@deblur/shared/protocol/runner-api.ts';
import { modelNameSchema } from '@deblur/shared/protocol/options.ts';
import { z } from 'zod';
import { PREDICTION_EVENTS } from '../predictions/prediction.ts';

const ID = { name: 'prediction_id', in: 'path', required: true, schema: { type: 'string' } } as const;
const PREFER = { name: 'Prefer', in: 'header', schema: { type: 'string', enum: ['respond-async'] } } as const;
const STATUSES = ['starting', 'processing', 'succeeded', 'failed', 'canceled'] as const;

const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` });
const json = (name: string, description: string) => ({
  description,
  content: { 'application/json': { schema: ref(name) } },
});

const PREDICTION = json('PredictionResponse', 'The prediction. Who accepts image/* gets the picture itself.');
const ACCEPTED = json('PredictionResponse', 'It is being worked on; a webhook or GET tells its end.');
const NOT_FOUND = { description: 'There is no such prediction.' };
const REFUSALS = {
  '409': { description: 'Every slot is busy.' },
  '413': { description: 'The body is too large.' },
  '422': json('HTTPValidationError', 'Something in the request is not valid; `loc` says where.'),
  '503': { description: 'The runner starts, stops, or could not be set up.' },
};

function create(operationId: string, summary: string, parameters: readonly object[]): object {
  const requestBody = {
    required: true,
    content: {
      'application/json': { schema: ref('PredictionRequest') },
      'multipart/form-data': { schema: ref('PredictionForm') },
    },
  };
  return {
    operationId,
    summary,
    parameters,
    requestBody,
    responses: { '200': PREDICTION, '202': ACCEPTED, ...REFUSALS },
  };
}

/** JSON schema without the keyword that says which dialect: OpenAPI 3.1 implies it. */
function schema(type: z.ZodType, io: 'input' | 'output'): object {
  return { ...z.toJSONSchema(type, { io, unrepresentable: 'any' }), $schema: undefined };
}

const responseSchema = z.object({
  id: z.string(),
  status: z.enum(STATUSES),
  model: modelNameSchema.nullable(),
  version: z.string().nullable(),
  input: gpuInputSchema,
  output: z.union([z.string(), gpuOutputSchema]).nullable(),
  error: z.string().nullable(),
  logs: z.string(),
  metrics: z.object({ predict_time: z.number().optional() }).loose(),
  progress: z.object({ done: z.int(), total: z.int() }).nullable(),
  created_at: z.iso.datetime(),
  started_at: z.iso.datetime().nullable(),
  completed_at: z.iso.datetime().nullable(),
});

function schemas(): object {
  const input = schema(gpuInputSchema, 'input') as { properties: Record<string, object> };
  return {
    Input: input,
    Output: schema(z.union([z.string(), gpuOutputSchema]), 'output'),
    RestoreReport: schema(restoreReportSchema, 'output'),
    PredictionRequest: {
      type: 'object',
      required: ['input'],
      properties: {
        id: { type: 'string' },
        input: ref('Input'),
        webhook: { type: 'string', format: 'uri' },
        webhook_events_filter: { type: 'array', items: { type: 'string', enum: PREDICTION_EVENTS } },
      },
    },
    PredictionForm: { ...input, properties: { ...input.properties, image: { type: 'string', format: 'binary' } } },
    PredictionResponse: schema(responseSchema, 'output'),
    HTTPValidationError: {
      type: 'object',
      properties: {
        detail: {
          type: 'array',
          items: {
            type: 'object',
            required: ['loc', 'msg', 'type'],
            properties: {
              loc: { type: 'array', items: { type: 'string' } },
              msg: { type: 'string' },
              type: { type: 'string' },
            },
          },
        },
      },
    },
  };
}

export function openApi(): object {
  const health = { get: { operationId: 'health', summary: 'State in the body, always 200', responses: { '200': {} } } };
  const probe = (operationId: string, summary: string) => ({
    get: { operationId, summary, responses: { '200': { description: 'Yes.' }, '503': { description: 'No.' } } },
  });
  return {
    openapi: '3.1.0',
    info: { title: 'Deblur runner', version: '1' },
    paths: {
      '/health-check': health,
      '/v2/health/live': probe('live', 'Whether the process works; if not, only a new one helps'),
      '/v2/health/ready': probe('ready', 'Whether predictions are taken'),
      '/metrics': { get: { operationId: 'metrics', summary: 'Prometheus metrics', responses: { '200': {} } } },
      '/predictions': { post: create('predict', 'Run a prediction', [PREFER]) },
      '/predictions/{prediction_id}': {
        put: create('predict_idempotent', 'Run a prediction once, however often it is asked for', [ID, PREFER]),
        get: {
          operationId: 'get',
          summary: 'The prediction',
          parameters: [ID],
          responses: { '200': PREDICTION, '404': NOT_FOUND },
        },
      },
      '/predictions/{prediction_id}/cancel': {
        post: {
          operationId: 'cancel',
          summary: 'Cancel between tiles',
          parameters: [ID],
          responses: { '200': PREDICTION, '404': NOT_FOUND },
        },
      },
    },
    components: { schemas: schemas() },
  };
}
