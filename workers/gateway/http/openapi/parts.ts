/** Parameters and bodies that several operations have. */
import { HEX_SHA256 } from '@deblur/shared/net/digest.ts';
import {
  IDEMPOTENCY_KEY_MAX_CHARACTERS,
  MAX_WAIT_SECONDS,
  MIN_CANCEL_AFTER_SECONDS,
  MIN_WAIT_SECONDS,
  PREDICTION_DEADLINE_SECONDS,
} from '@deblur/shared/limits.ts';
import { MEDIA_TYPES } from '@deblur/shared/protocol/options.ts';
import { PREDICTION_ID } from '@deblur/shared/protocol/prediction.ts';
import { STREAM_TOKEN } from '../../predictions/prediction-id.ts';
import { DURATION } from '../body/create-headers.ts';
import { ref, type SchemaName } from './schemas.ts';

export const json = (name: SchemaName) => ({ 'application/json': { schema: ref(name) } });

const inPath = (name: string, description: string, schema: object) => ({
  name,
  in: 'path',
  required: true,
  description,
  schema: { type: 'string', ...schema },
});

export const PREDICTION = inPath('id', 'Of the prediction.', { pattern: PREDICTION_ID.source });
export const STREAM = inPath('token', 'The last segment of `urls.stream`.', {
  pattern: STREAM_TOKEN.source,
});
export const DELIVERY = inPath('n', 'Of the delivery, as its log numbers it.', { pattern: '^\\d{1,9}$' });
export const FILE = inPath('id', 'Of the file.', { pattern: '^file_[0-9a-f]{32}$' });
export const KEY = inPath('id', 'Of the key: not the key itself.', { pattern: '^[a-z0-9-]{1,32}_[0-9a-f]{16}$' });
export const RESULT = inPath('key', 'Of the result: SHA-256 in hexadecimal.', { pattern: HEX_SHA256.source });
export const MODEL = [
  inPath('owner', 'Of the model.', { const: 'deblur' }),
  inPath('name', 'Of the model, or `auto`.', { examples: ['dhnet-edge', 'auto'] }),
];
export const SIGNED_PATH = [
  inPath('signature', 'Unpadded base64url of HMAC-SHA256(key, salt + `/{options}/{source}`).', {
    pattern: '^[A-Za-z0-9_-]{43}$',
  }),
  inPath('options', '`name:value` joined by commas (`model`, `format`, `quality`, `metadata`, `exp`), or `_`.', {
    pattern: '^[^/]+$',
  }),
  inPath('source', 'Unpadded base64url of the address of the blurred picture.', { pattern: '^[A-Za-z0-9_-]+$' }),
];

const header = (name: string, description: string, schema: object) => ({
  name,
  in: 'header',
  description,
  schema: { type: 'string', ...schema },
});

const wait = `\`wait=n\`: for n seconds, ${MIN_WAIT_SECONDS} to ${MAX_WAIT_SECONDS}. \`respond-async\`: not at all.`;

export const PREFER = header('Prefer', `How long the answer is waited for (RFC 7240). ${wait}`, {
  examples: ['wait=10', 'respond-async'],
});
export const CANCEL_AFTER = header(
  'Cancel-After',
  `The deadline, such as \`30s\`, \`2m\` or \`1h30m\`: ${MIN_CANCEL_AFTER_SECONDS} to ${PREDICTION_DEADLINE_SECONDS} seconds from creation.`,
  { pattern: DURATION.source, minLength: 1, examples: ['90s'] },
);
export const IDEMPOTENCY_KEY = header(
  'Idempotency-Key',
  'The same key and the same request are the same prediction for a day; another request with it is refused.',
  { minLength: 1, maxLength: IDEMPOTENCY_KEY_MAX_CHARACTERS, pattern: '^[\\x20-\\x7e]+$' },
);
export const IF_NONE_MATCH = header('If-None-Match', '304 when it is still that.', {});
export const RANGE = header('Range', 'One range of bytes.', { examples: ['bytes=0-1023'] });
export const LAST_EVENT_ID = header('Last-Event-ID', 'Of an event stream: goes on after this event.', {});

const binary = { type: 'string', format: 'binary' };

/** The picture itself; its bytes decide what it is, whatever type is declared. */
export const RAW_PICTURE = { 'image/*': { schema: binary } };

/** A restored picture. */
export const PICTURE = Object.fromEntries(Object.values(MEDIA_TYPES).map((type) => [type, { schema: binary }]));

/** A form whose part `picture` is one, beside fields. */
export function form(picture: string, fields: object, required: readonly string[] = [picture]) {
  const properties = { [picture]: binary, ...fields };
  return { 'multipart/form-data': { schema: { type: 'object', required, properties } } };
}

/** A picture of one pixel: the smallest that is restored. */
export const EXAMPLE_IMAGE =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNocFAAAAIkAOGrWWInAAAAAElFTkSuQmCC';

/** From an answer with a prediction to what can be done with it. */
export const PREDICTION_LINKS = Object.fromEntries(
  (['getPrediction', 'cancelPrediction', 'listDeliveries'] as const).map((operationId) => [
    operationId,
    { operationId, parameters: { id: '$response.body#/id' } },
  ]),
);
