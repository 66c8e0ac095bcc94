/** Predictions: Replicate's resource, and the webhooks of it. */
import { optionsSchema } from '@deblur/shared/protocol/options.ts';
import { predictionListQuerySchema } from '../routes/predictions.ts';
import { headers } from './headers.ts';
import type { Operation, Operations } from './operation.ts';
import * as parts from './parts.ts';
import { BODY_PROBLEMS, OPTION_PROBLEMS, PICTURE_PROBLEMS } from './problems.ts';
import { inlineSchema, queryParameters, ref } from './schemas.ts';

/** Of a create that is no JSON: everything on one level. */
const FLAT = {
  version: { type: 'string', maxLength: 256 },
  webhook: { type: 'string', format: 'uri' },
  webhook_events_filter: { type: 'string', description: 'Events joined by commas.' },
};

const CREATE_BODY = {
  required: true,
  content: {
    'application/json': {
      schema: ref('PredictionRequest'),
      examples: {
        address: {
          summary: 'A picture on the web, and who is to be told',
          value: {
            input: { image: 'https://images.example.com/blurred.jpg', format: 'webp' },
            webhook: 'https://hooks.example.com/deblur',
            webhook_events_filter: ['completed'],
          },
        },
        bytes: { summary: 'A picture in the request', value: { input: { image: parts.EXAMPLE_IMAGE } } },
      },
    },
    ...parts.form('image', { ...inlineSchema(optionsSchema).properties, ...FLAT }),
    ...parts.RAW_PICTURE,
  },
};

const created = (description: string) => ({
  description,
  headers: headers('Location', 'Preference-Applied'),
  content: parts.json('Prediction'),
  links: parts.PREDICTION_LINKS,
});

function create(operation: Pick<Operation, 'operationId' | 'summary'> & Partial<Operation>): Operation {
  const { parameters = [], responses, problems = [], ...rest } = operation;
  return {
    tag: 'Predictions',
    access: 'anyone:create',
    description:
      'An address is fetched after the answer. Outside JSON, `version` and the webhook stand beside the options.',
    requestBody: CREATE_BODY,
    ...rest,
    parameters: [...parameters, ...queryParameters(optionsSchema), parts.PREFER, parts.CANCEL_AFTER],
    responses: {
      '201': created('Made; with `Prefer: wait`, and over in time.'),
      '202': {
        ...created('Made, and not over yet, as `Prefer` allows.'),
        headers: headers('Location', 'Preference-Applied', 'Retry-After'),
      },
      ...responses,
    },
    problems: [
      ...BODY_PROBLEMS,
      ...PICTURE_PROBLEMS,
      ...OPTION_PROBLEMS,
      ...(['model_unavailable', 'forbidden', 'not_found', 'runner_unavailable'] as const),
      ...problems,
    ],
  };
}

const KEYED = ['idempotency_conflict', 'idempotency_key_reused'] as const;

export const predictions: Operations = {
  'post /v1/predictions': create({
    operationId: 'createPrediction',
    summary: 'Create a prediction',
    parameters: [parts.IDEMPOTENCY_KEY],
    problems: KEYED,
  }),
  'put /v1/predictions/{id}': create({
    operationId: 'putPrediction',
    summary: 'Create a prediction by a name of your own, once',
    parameters: [parts.PREDICTION],
    responses: { '200': created('It was there already.') },
    problems: KEYED,
  }),
  'post /v1/models/{owner}/{name}/predictions': create({
    operationId: 'createModelPrediction',
    summary: 'Create a prediction of a model',
    parameters: [...parts.MODEL, parts.IDEMPOTENCY_KEY],
    problems: KEYED,
  }),
  'get /v1/predictions': {
    operationId: 'listPredictions',
    tag: 'Predictions',
    summary: 'Your predictions, newest first',
    access: 'key:read',
    parameters: queryParameters(predictionListQuerySchema),
    responses: { '200': { description: 'One page.', content: parts.json('PredictionList') } },
    problems: [...OPTION_PROBLEMS, 'runner_unavailable'],
  },
  'get /v1/predictions/{id}': {
    operationId: 'getPrediction',
    tag: 'Predictions',
    summary: 'A prediction, or its events',
    description:
      'With `Accept: text/event-stream`: `start`, `progress` and `completed` as they happen, each with the whole prediction. ' +
      'The stream ends with `completed`.',
    access: 'anyone:read',
    parameters: [parts.PREDICTION, parts.IF_NONE_MATCH, parts.LAST_EVENT_ID],
    responses: {
      '200': {
        description: 'The prediction as it is.',
        headers: headers('ETag'),
        content: { ...parts.json('Prediction'), 'text/event-stream': { schema: { type: 'string' } } },
      },
      '204': { description: 'Of a stream: its end was seen by whoever sent this `Last-Event-ID`.' },
      '304': { description: 'It is still what `If-None-Match` names.', headers: headers('ETag') },
    },
    problems: ['not_found', 'runner_unavailable'],
  },
  'get /v1/streams/{token}': {
    operationId: 'streamPrediction',
    tag: 'Predictions',
    summary: 'The events of a prediction, for whoever has the address',
    description: "A prediction's `urls.stream`: no key is needed, because EventSource can send none.",
    access: 'optional',
    parameters: [parts.STREAM, parts.LAST_EVENT_ID],
    responses: {
      '200': {
        description: '`start`, `progress` and `completed` as they happen, each with the whole prediction.',
        content: { 'text/event-stream': { schema: { type: 'string' } } },
      },
      '204': { description: 'Its end was seen by whoever sent this `Last-Event-ID`.' },
    },
    problems: ['not_found', 'runner_unavailable'],
  },
  'post /v1/predictions/{id}/cancel': {
    operationId: 'cancelPrediction',
    tag: 'Predictions',
    summary: 'Cancel a prediction between two tiles',
    access: 'anyone:create',
    parameters: [parts.PREDICTION],
    responses: {
      '200': { description: 'The prediction; what has ended stays as it ended.', content: parts.json('Prediction') },
    },
    problems: ['not_found', 'runner_unavailable'],
  },
  'get /v1/predictions/{id}/deliveries': {
    operationId: 'listDeliveries',
    tag: 'Predictions',
    summary: 'Every attempt at its webhooks',
    access: 'key:read',
    parameters: [parts.PREDICTION],
    responses: { '200': { description: 'The log.', content: parts.json('DeliveryList') } },
    problems: ['not_found', 'runner_unavailable'],
  },
  'post /v1/predictions/{id}/deliveries/{n}/replay': {
    operationId: 'replayDelivery',
    tag: 'Predictions',
    summary: 'Send a webhook once more',
    access: 'key:create',
    parameters: [parts.PREDICTION, parts.DELIVERY],
    responses: {
      '202': {
        description: 'It is sent after the answer; the log says how it went.',
        headers: headers('Location'),
        content: parts.json('Replay'),
      },
    },
    problems: ['not_found', 'gone', 'runner_unavailable'],
  },
};

/** What receivers get: Standard Webhooks 1.0.0. */
export const webhooks = {
  prediction: {
    post: {
      operationId: 'onPrediction',
      tags: ['Predictions'],
      summary: 'A prediction began, has its output, or ended',
      description:
        'Signed by Standard Webhooks 1.0.0: verify `webhook-signature` over `{webhook-id}.{webhook-timestamp}.{body}`. ' +
        'Eight attempts over 27.6 hours; 410 ends them.',
      parameters: ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) => ({
        name,
        in: 'header',
        required: true,
        schema: { type: 'string' },
      })),
      security: [],
      requestBody: { required: true, content: parts.json('WebhookEvent') },
      responses: { '2XX': { description: 'Taken.' }, '410': { description: 'No more of them, please.' } },
    },
  },
};
