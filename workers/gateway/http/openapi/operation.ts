/** One operation as its table says it, and as OpenAPI has it. */
import type { ErrorCode } from '@deblur/shared/protocol/errors.ts';
import type { Scope } from '../../tenants/access-ports.ts';
import { LIMIT_HEADERS, REQUEST_ID } from './headers.ts';
import { problemResponses } from './problems.ts';

/** `get /v1/predictions/{id}`: what Hono's table of routes has too. */
export type OperationName = `${'get' | 'post' | 'put' | 'delete'} /${string}`;
export type Operations = Readonly<Record<OperationName, Operation>>;

/**
 * Who may. `key`: a key with this scope. `anyone`: the same, or nobody in particular where the anonymous tier is on.
 * `public`: no key is looked at. `operator`: the bearer of METRICS_TOKEN.
 */
export type Access = `${'key' | 'anyone'}:${Scope}` | 'optional' | 'public' | 'operator';

export interface Operation {
  readonly operationId: string;
  readonly tag: 'Pictures' | 'Predictions' | 'Files' | 'Models' | 'Access' | 'Service';
  readonly summary: string;
  readonly description?: string;
  readonly access: Access;
  readonly parameters?: readonly object[];
  readonly requestBody?: object;
  /** Of success, by status. */
  readonly responses: Readonly<Record<string, ResponseObject>>;
  /** Its own failures; those of its access and its limits are added. */
  readonly problems?: readonly ErrorCode[];
}

export interface ResponseObject {
  readonly description: string;
  readonly headers?: Readonly<Record<string, object>>;
  readonly content?: Readonly<Record<string, object>>;
  readonly links?: Readonly<Record<string, object>>;
}

export function operationObject({ tag, access, responses, problems = [], ...rest }: Operation): object {
  const limited = access !== 'public' && access !== 'operator';
  const common = { ...REQUEST_ID, ...(limited ? LIMIT_HEADERS : {}) };
  const succeeded = Object.entries(responses).map(
    ([status, response]) => [status, { ...response, headers: { ...response.headers, ...common } }] as const,
  );
  const failures = problemResponses([...problems, ...PROBLEMS_OF_ACCESS[kindOf(access)], 'internal'], common);
  return {
    tags: [tag],
    ...rest,
    security: securityOf(access),
    responses: { ...Object.fromEntries(succeeded), ...failures },
  };
}

type AccessKind = 'key' | 'anyone' | 'optional' | 'public' | 'operator';

const kindOf = (access: Access): AccessKind => access.split(':', 1)[0] as AccessKind;

const PROBLEMS_OF_ACCESS: Readonly<Record<AccessKind, readonly ErrorCode[]>> = {
  key: ['unauthorized', 'forbidden', 'rate_limited', 'runner_unavailable', 'service_unavailable'],
  anyone: ['unauthorized', 'forbidden', 'rate_limited', 'runner_unavailable', 'service_unavailable'],
  optional: ['unauthorized', 'rate_limited', 'runner_unavailable', 'service_unavailable'],
  public: [],
  operator: ['forbidden', 'not_found'],
};

/** OpenAPI 3.1: of a bearer scheme the list names what its token must be good for. */
function securityOf(access: Access): readonly object[] {
  const [kind, scope] = access.split(':');
  if (kind === 'public') return [];
  if (kind === 'operator') return [{ operatorToken: [] }];
  const key = { apiKey: scope === undefined ? [] : [scope] };
  return kind === 'key' ? [key] : [key, {}];
}
