/** What the service says of itself. */
import type { Operations } from './operation.ts';
import * as parts from './parts.ts';

export const service: Operations = {
  'get /v1/models': {
    operationId: 'listModels',
    tag: 'Models',
    summary: 'Models, where they run and how well they restore',
    access: 'optional',
    responses: { '200': { description: 'All of them.', content: parts.json('ModelList') } },
  },
  'get /v1/models/{owner}/{name}': {
    operationId: 'getModel',
    tag: 'Models',
    summary: 'One model',
    access: 'optional',
    parameters: parts.MODEL,
    responses: { '200': { description: 'The model.', content: parts.json('Model') } },
    problems: ['not_found'],
  },
  'get /healthz': {
    operationId: 'getHealth',
    tag: 'Service',
    summary: 'Whether both placements serve',
    access: 'public',
    responses: {
      '200': { description: 'Both do.', content: parts.json('Health') },
      '503': { description: 'One does not, or not yet.', content: parts.json('Health') },
    },
    problems: ['rate_limited'],
  },
  'get /metrics': {
    operationId: 'getMetrics',
    tag: 'Service',
    summary: 'Figures for Prometheus',
    access: 'operator',
    responses: {
      '200': {
        description: "Text format 0.0.4. Without a token in the service's configuration there is no such path.",
        content: { 'text/plain': { schema: { type: 'string' } } },
      },
    },
  },
  'get /openapi.json': {
    operationId: 'getOpenApi',
    tag: 'Service',
    summary: 'This document',
    access: 'public',
    responses: {
      '200': { description: 'OpenAPI 3.1.', content: { 'application/json': { schema: { type: 'object' } } } },
    },
  },
};
