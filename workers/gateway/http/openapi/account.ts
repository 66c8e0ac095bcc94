/** What belongs to a tenant: files, keys, the secret of its webhooks. */
import { FILE_METADATA_MAX_CHARACTERS, FILE_NAME_MAX_CHARACTERS, KEY_CACHE_SECONDS } from '@deblur/shared/limits.ts';
import { fileListQuerySchema } from '../routes/files.ts';
import { keyListQuerySchema } from '../routes/keys.ts';
import { headers } from './headers.ts';
import type { Operations } from './operation.ts';
import * as parts from './parts.ts';
import { BODY_PROBLEMS, OPTION_PROBLEMS, PICTURE_PROBLEMS } from './problems.ts';
import { queryParameters, ref } from './schemas.ts';

const byId = (operationId: string) => ({ operationId, parameters: { id: '$response.body#/id' } });

const FILE_FIELDS = {
  filename: { type: 'string', description: `Its first ${FILE_NAME_MAX_CHARACTERS} characters are kept.` },
  type: { type: 'string', description: 'Of older clients; the bytes decide.' },
  metadata: { type: 'string', maxLength: FILE_METADATA_MAX_CHARACTERS, description: 'A JSON object of your own.' },
};

const files: Operations = {
  'post /v1/files': {
    operationId: 'createFile',
    tag: 'Files',
    summary: 'Upload a picture once, use it for a day',
    access: 'key:create',
    requestBody: { required: true, content: parts.form('content', FILE_FIELDS) },
    responses: {
      '201': {
        description: 'Kept.',
        headers: headers('Location'),
        content: parts.json('File'),
        links: { get: byId('getFile'), delete: byId('deleteFile') },
      },
    },
    problems: [...BODY_PROBLEMS, ...PICTURE_PROBLEMS, ...OPTION_PROBLEMS, 'quota_exceeded'],
  },
  'get /v1/files': {
    operationId: 'listFiles',
    tag: 'Files',
    summary: 'Your files, newest first',
    access: 'key:read',
    parameters: queryParameters(fileListQuerySchema),
    responses: { '200': { description: 'One page.', content: parts.json('FileList') } },
    problems: OPTION_PROBLEMS,
  },
  'get /v1/files/{id}': {
    operationId: 'getFile',
    tag: 'Files',
    summary: 'What is known of a file',
    access: 'key:read',
    parameters: [parts.FILE],
    responses: { '200': { description: 'The file.', content: parts.json('File') } },
    problems: ['not_found'],
  },
  'delete /v1/files/{id}': {
    operationId: 'deleteFile',
    tag: 'Files',
    summary: 'Delete a file',
    access: 'key:delete',
    parameters: [parts.FILE],
    responses: { '204': { description: 'Deleted.' } },
    problems: ['not_found'],
  },
};

const keys: Operations = {
  'post /v1/keys': {
    operationId: 'createKey',
    tag: 'Access',
    summary: 'Make an API key',
    access: 'key:admin',
    requestBody: {
      required: true,
      content: {
        'application/json': { schema: ref('KeyRequest'), example: { name: 'my pipeline', scopes: ['create', 'read'] } },
      },
    },
    responses: {
      '201': {
        description: 'The only answer that shows the key.',
        headers: headers('Location'),
        content: parts.json('CreatedKey'),
        links: { delete: byId('deleteKey') },
      },
    },
    problems: [...BODY_PROBLEMS, ...OPTION_PROBLEMS, 'quota_exceeded'],
  },
  'get /v1/keys': {
    operationId: 'listKeys',
    tag: 'Access',
    summary: 'Your API keys, newest first',
    access: 'key:admin',
    parameters: queryParameters(keyListQuerySchema),
    responses: { '200': { description: 'All of them.', content: parts.json('KeyList') } },
    problems: OPTION_PROBLEMS,
  },
  'delete /v1/keys/{id}': {
    operationId: 'deleteKey',
    tag: 'Access',
    summary: 'Revoke an API key',
    description: `It stops to open within ${KEY_CACHE_SECONDS} seconds everywhere.`,
    access: 'key:admin',
    parameters: [parts.KEY],
    responses: { '204': { description: 'Revoked.' } },
    problems: ['not_found'],
  },
};

const secrets: Operations = {
  'get /v1/webhooks/default/secret': {
    operationId: 'getWebhookSecret',
    tag: 'Access',
    summary: 'What signs your webhooks',
    access: 'key:admin',
    responses: { '200': { description: 'The current secret.', content: parts.json('WebhookSecret') } },
  },
  'post /v1/webhooks/default/secret/rotate': {
    operationId: 'rotateWebhookSecret',
    tag: 'Access',
    summary: 'A new secret; the old one signs beside it for a day',
    access: 'key:admin',
    responses: { '200': { description: 'The new secret.', content: parts.json('WebhookSecret') } },
  },
};

export const account: Operations = { ...files, ...keys, ...secrets };
