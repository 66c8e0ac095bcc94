/** Where the GPU placement's predictions are created: a runner of one's own, or a model or deployment on Replicate. */

/** What a creation says, whoever is asked. `webhook` is told of start, logs (progress) and completion. */
export interface Creation {
  readonly input: object;
  readonly webhook?: string;
  readonly webhook_events_filter?: readonly ('start' | 'logs' | 'completed')[];
}

export interface GpuTarget {
  readonly baseUrl: string;
  readonly token: string;
  /** The name that a creation gives its prediction; null when the target names it. */
  readonly nameOf: (name: string) => string | null;
  readonly create: (name: string, creation: Creation) => TargetRequest;
  /** A creation that is repeated is one creation. */
  readonly idempotent: boolean;
  readonly callsBack: (webhook: string) => boolean;
  readonly health: { readonly path: string; readonly authorized: boolean };
}

export interface TargetRequest {
  readonly route: string;
  readonly method: 'PUT' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly data: object;
}

/** Cog's HTTP contract: `PUT /predictions/{id}` is idempotent, and with `respond-async` it answers at once. */
export function ownRunner(url: string, token: string): GpuTarget {
  return {
    baseUrl: url,
    token,
    nameOf: (name) => name,
    create: (name, creation) => ({
      route: `/predictions/${name}`,
      method: 'PUT',
      headers: { Prefer: 'respond-async' },
      data: { id: name, ...creation },
    }),
    idempotent: true,
    callsBack: () => true,
    health: { path: 'health-check', authorized: false },
  };
}

/** `owner/name`, `owner/name:version` or `deployments/owner/name`. */
export const REPLICATE_MODEL =
  /^(?:deployments\/)?[a-z0-9][\w.-]*\/[a-z0-9][\w.-]*$|^[a-z0-9][\w.-]*\/[a-z0-9][\w.-]*:[0-9a-f]{64}$/i;

/**
 * Replicate's HTTP API. Without `Prefer: wait` it answers at once; it names the prediction itself, so that a creation whose
 * answer is lost cannot be found again; its webhooks go to https only, and elsewhere it is polled.
 *
 * @param model as REPLICATE_MODEL matches it
 */
export function replicateModel(model: string, token: string, baseUrl = 'https://api.replicate.com/v1'): GpuTarget {
  const [name = '', version] = model.split(':');
  const isDeployment = name.startsWith('deployments/');
  const resource = isDeployment ? name : `models/${name}`;
  return {
    baseUrl,
    token,
    nameOf: () => null,
    create: (_, creation) => ({
      route: version === undefined ? `/${resource}/predictions` : '/predictions',
      method: 'POST',
      headers: {},
      data: version === undefined ? creation : { version, ...creation },
    }),
    idempotent: false,
    callsBack: (webhook) => webhook.startsWith('https:'),
    health: { path: resource, authorized: true },
  };
}
