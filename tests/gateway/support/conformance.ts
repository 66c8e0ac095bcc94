/** Holds answers to the OpenAPI document: status, media type, headers, body and code. */
import { Validator, type Schema } from '@cfworker/json-schema';
import { openApi } from '../../../workers/gateway/http/openapi/document.ts';

interface Response_ {
  readonly headers?: Readonly<Record<string, { readonly $ref: string }>>;
  readonly content?: Readonly<Record<string, { readonly schema: Schema }>>;
}

export interface DocumentedOperation {
  readonly operationId: string;
  readonly security: readonly Readonly<Record<string, readonly string[]>>[];
  readonly responses: Readonly<Record<string, Response_>>;
}

interface Components {
  readonly headers: Readonly<Record<string, { readonly schema: Schema; readonly required?: boolean }>>;
  readonly schemas: Readonly<Record<string, { readonly properties?: Readonly<Record<string, Schema>> }>>;
}

interface Document {
  readonly info: { readonly description: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, DocumentedOperation>>>>;
  readonly components: Components;
}

export const document = JSON.parse(JSON.stringify(openApi())) as Document;

const templates = Object.keys(document.paths).map((path) => {
  const pattern = path.replaceAll(/[.]/g, '\\.').replaceAll(/\{\w+\}/g, '[^/]+');
  return { path, pattern: new RegExp(`^${pattern}$`) };
});

/** Undefined for what is no operation: its answer says so (404 and 405). */
function operationOf(method: string, pathname: string): DocumentedOperation | undefined {
  const path = templates.find(({ pattern }) => pattern.test(pathname))?.path ?? '';
  return document.paths[path]?.[(method === 'HEAD' ? 'get' : method).toLowerCase()];
}

/** @throws {Error} that says in what the answer is not the document's */
export async function assertConforms(request: Request, response: Response): Promise<void> {
  const operation = operationOf(request.method, new URL(request.url).pathname);
  if (operation === undefined || request.method === 'OPTIONS') return;
  const documented = operation.responses[response.status];
  const complaint =
    documented === undefined ? 'the status is not documented' : await complaintOf(documented, request, response);
  if (complaint === null) return;
  throw new Error(`${request.method} ${request.url} → ${response.status} (${operation.operationId}): ${complaint}`);
}

async function complaintOf(documented: Response_, request: Request, response: Response): Promise<string | null> {
  for (const name of Object.keys(documented.headers ?? {})) {
    const { schema, required = false } = document.components.headers[name]!;
    const value = response.headers.get(name);
    if (value === null && required) return `it lacks the header ${name}`;
    if (value !== null && !isValid(schema, schema.type === 'integer' ? Number(value) : value))
      return `${name}: ${value}`;
  }
  const type = response.headers.get('content-type')?.split(';', 1)[0];
  const schema = documented.content?.[type ?? '']?.schema;
  if (schema === undefined)
    return type === undefined || isBare(request, response) ? null : `the type ${type} is not documented`;
  if (!/\bjson$/.test(type ?? '') || isBare(request, response)) return null;
  const body: unknown = await response.clone().json();
  const { valid, errors } = validator(schema).validate(body);
  return valid ? null : `${JSON.stringify(errors.at(-1))} in ${JSON.stringify(body)}`;
}

const isBare = (request: Request, { status }: Response): boolean => request.method === 'HEAD' || status === 304;

const isValid = (schema: Schema, value: unknown): boolean => validator(schema).validate(value).valid;

/** Compiled once: one object of the document is one schema. */
const validators = new Map<Schema, Validator>();

function validator(schema: Schema): Validator {
  const known = validators.get(schema);
  if (known !== undefined) return known;
  const made = new Validator({ ...schema, components: document.components } as Schema, '2020-12');
  validators.set(schema, made);
  return made;
}
