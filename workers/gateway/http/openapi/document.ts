/**
 * The HTTP surface as OpenAPI 3.1, made of the zod schemas that validate requests and type answers. Each operation stands under
 * its method and path; a test holds that table to the app's routes, and every answer in the tests of the gateway to it.
 */
import { account } from './account.ts';
import { HEADERS } from './headers.ts';
import { operationObject, type Operations } from './operation.ts';
import { pictures } from './pictures.ts';
import { predictions, webhooks } from './predictions.ts';
import { problemExamples, problemTable } from './problems.ts';
import { componentSchemas } from './schemas.ts';
import { service } from './service.ts';

const DESCRIPTION = `A blurred photograph goes in, the restored one comes out.

\`\`\`sh
curl --data-binary @blurred.jpg {service}/v1/deblur -o sharp.jpg
\`\`\`

Predictions follow Replicate's API: its released clients work unchanged. Every failure is \`application/problem+json\`
(RFC 9457) with a code of one closed list:

${problemTable()}

GET answers HEAD too; another method of a known path is 405 with \`Allow\`.`;

const TAGS = [
  { name: 'Pictures', description: 'A picture in, the restored one out.' },
  { name: 'Predictions', description: 'One request, its progress, its webhooks.' },
  { name: 'Files', description: 'Pictures that are uploaded once.' },
  { name: 'Models', description: 'What restores.' },
  { name: 'Access', description: 'API keys and secrets.' },
  { name: 'Service', description: 'What the service says of itself.' },
];

const SECURITY_SCHEMES = {
  apiKey: {
    type: 'http',
    scheme: 'bearer',
    description: 'An API key with the scope that the operation names. On one’s own machine every token, or none.',
  },
  operatorToken: { type: 'http', scheme: 'bearer', description: "The operator's METRICS_TOKEN." },
};

/** @returns the document, in JSON's values */
export function openApi(): object {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Deblur',
      version: '1.0.0',
      summary: 'Restores blurred photographs.',
      description: DESCRIPTION,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/', description: 'The service that this document came from.' }],
    tags: TAGS,
    paths: pathsOf({ ...pictures, ...predictions, ...account, ...service }),
    webhooks,
    components: {
      schemas: componentSchemas(),
      headers: HEADERS,
      examples: problemExamples(),
      securitySchemes: SECURITY_SCHEMES,
    },
  };
}

function pathsOf(operations: Operations): Record<string, Record<string, object>> {
  const paths: Record<string, Record<string, object>> = {};
  for (const [name, operation] of Object.entries(operations)) {
    const [method = '', path = ''] = name.split(' ');
    (paths[path] ??= {})[method] = operationObject(operation);
  }
  return paths;
}
