/** Pictures in, pictures out. */
import { optionsSchema } from '@deblur/shared/protocol/options.ts';
import { headers } from './headers.ts';
import type { Operations } from './operation.ts';
import * as parts from './parts.ts';
import { BODY_PROBLEMS, OPTION_PROBLEMS, PICTURE_PROBLEMS } from './problems.ts';
import { inlineSchema, queryParameters, ref } from './schemas.ts';

const RESULT_HEADERS = headers(
  'ETag',
  'Cache-Control',
  'Accept-Ranges',
  'Repr-Digest',
  'Content-Location',
  'X-Model',
  'X-Placement',
);

const representation = {
  '200': {
    description: 'The whole, or of HEAD its headers.',
    headers: { ...RESULT_HEADERS, ...headers('Content-Digest') },
    content: parts.PICTURE,
  },
  '206': {
    description: 'The range that was asked for.',
    headers: { ...RESULT_HEADERS, ...headers('Content-Range') },
    content: parts.PICTURE,
  },
  '304': { description: 'It is still what `If-None-Match` names.', headers: RESULT_HEADERS },
};

const CONDITIONS = [parts.IF_NONE_MATCH, parts.RANGE];

export const pictures: Operations = {
  'post /v1/deblur': {
    operationId: 'deblur',
    tag: 'Pictures',
    summary: 'Restore a picture',
    description:
      'The picture comes raw, as the part `image` of a form, or in JSON; options as query, form fields or JSON keys. ' +
      '`Accept` chooses the format where `format` is `auto`. When the wait ends first, the answer is 202 and a prediction.',
    access: 'anyone:create',
    parameters: [...queryParameters(optionsSchema), parts.PREFER, parts.CANCEL_AFTER],
    requestBody: {
      required: true,
      content: {
        ...parts.RAW_PICTURE,
        ...parts.form('image', inlineSchema(optionsSchema).properties ?? {}),
        'application/json': { schema: ref('DeblurRequest'), example: { image: parts.EXAMPLE_IMAGE, format: 'png' } },
      },
    },
    responses: {
      '200': {
        description: 'The restored picture.',
        headers: headers(
          'Link',
          'Server-Timing',
          'X-Model',
          'X-Placement',
          'X-Cache',
          'X-Scale',
          'X-Change',
          'Content-Digest',
          'Preference-Applied',
        ),
        content: parts.PICTURE,
      },
      '202': {
        description: 'It takes longer than the wait: its prediction.',
        headers: headers('Location', 'Retry-After', 'Preference-Applied'),
        content: parts.json('Prediction'),
        links: parts.PREDICTION_LINKS,
      },
    },
    problems: [
      ...BODY_PROBLEMS,
      ...PICTURE_PROBLEMS,
      ...OPTION_PROBLEMS,
      ...([
        'model_unavailable',
        'not_acceptable',
        'forbidden',
        'source_not_found',
        'source_fetch_failed',
        'gone',
      ] as const),
      ...(['runner_failed', 'runner_busy', 'runner_unavailable', 'deadline_exceeded'] as const),
    ],
  },
  'get /v1/results/{key}': {
    operationId: 'getResult',
    tag: 'Pictures',
    summary: 'A restored picture, immutable',
    description:
      'Cached for as long as it lives. Whoever accepts another format only gets that one, encoded from the same inference.',
    access: 'optional',
    parameters: [parts.RESULT, ...CONDITIONS],
    responses: representation,
    problems: [
      ...(['not_found', 'gone', 'range_not_satisfiable'] as const),
      ...(['runner_failed', 'runner_busy', 'runner_unavailable', 'deadline_exceeded'] as const),
    ],
  },
  'delete /v1/results/{key}': {
    operationId: 'deleteResult',
    tag: 'Pictures',
    summary: 'Erase a result',
    description: "The caller's reference is dropped; with the last one the bytes go, caches are purged, and 410 stays.",
    access: 'key:delete',
    parameters: [parts.RESULT],
    responses: { '204': { description: 'Erased.' } },
    problems: ['not_found', 'gone', 'runner_unavailable'],
  },
  'get /i/{signature}/{options}/{source}': {
    operationId: 'getSignedPicture',
    tag: 'Pictures',
    summary: 'Restore the picture of an image link',
    description:
      "For `<img src>`: signed by the site's owner, so that no key is needed; of hosts that the operator allows. The path has " +
      'one spelling only, and is checked before anything else is looked at.',
    access: 'public',
    parameters: [
      ...parts.SIGNED_PATH,
      {
        name: 'pending',
        in: 'query',
        description: 'What to answer while the picture is computed: 202 instead of a redirect to the blurred one.',
        schema: { type: 'string', const: '202' },
      },
      parts.PREFER,
      ...CONDITIONS,
    ],
    responses: {
      ...representation,
      '202': {
        description: 'It is being computed, and `pending=202` was asked for.',
        headers: headers('Retry-After'),
        content: parts.json('PendingPicture'),
      },
      '302': {
        description: 'It is being computed: the blurred picture for now.',
        headers: headers('Location', 'Retry-After'),
      },
    },
    problems: [
      ...(['malformed_request', 'forbidden', 'not_found', 'gone', 'range_not_satisfiable', 'body_too_large'] as const),
      ...OPTION_PROBLEMS,
      ...PICTURE_PROBLEMS,
      ...(['empty_body', 'not_acceptable', 'model_unavailable', 'source_not_found', 'source_fetch_failed'] as const),
      ...(['runner_failed', 'runner_busy', 'runner_unavailable', 'deadline_exceeded'] as const),
    ],
  },
};
