/**
 * Stands in for Replicate's HTTP API as it is documented (replicate.com/docs/reference/http): predictions of a model, of
 * a version and of a deployment are created by POST, named by Replicate, and run by themselves; GET and cancel; a webhook
 * for start, logs and completion; 401, 402, 404, 422, 429 and 5xx as problems. Tests steer it through `/control`.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** What the next call of the API is answered with, one after the other; then normally. */
export interface ReplicateProblem {
  readonly status: number;
  readonly headers?: Record<string, string>;
}

export interface ReplicateRequest {
  readonly method: string;
  readonly path: string;
  readonly prefer: string | undefined;
  readonly body: Record<string, unknown> | null;
}

export interface ReplicateState {
  script: ReplicateProblem[];
  requests: ReplicateRequest[];
  /** How predictions end; `null`: they do not. */
  outcome: { readonly status: string; readonly output?: unknown; readonly error?: string } | null;
}

interface Prediction {
  readonly id: string;
  readonly model: string;
  readonly version: string;
  readonly urls: Record<'get' | 'cancel', string>;
  readonly input: unknown;
  readonly created_at: string;
  status: string;
  output: unknown;
  error: string | null;
  logs: string;
  completed_at: string | null;
}

const TOKEN = 'r8_of_the_tests';

const initial = (): ReplicateState => ({ script: [], requests: [], outcome: { status: 'succeeded' } });

export async function startReplicateStandIn(): Promise<{ server: Server; url: string }> {
  const predictions = new Map<string, Prediction>();
  const state = initial();
  const server = createServer((request, response) => {
    route(state, predictions, request, response).catch((error: unknown) => {
      response.writeHead(500).end(String(error));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

async function route(
  state: ReplicateState,
  predictions: Map<string, Prediction>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { url: path = '', method = '', headers } = request;
  const body = await text(request);
  const json = (status: number, value: unknown, more: Record<string, string> = {}): void => {
    response.writeHead(status, { 'content-type': 'application/json', ...more }).end(JSON.stringify(value));
  };
  const problem = (status: number, more?: Record<string, string>): void =>
    json(status, { title: 'A problem', detail: `The status is ${status}.`, status }, more);
  if (path === '/control') {
    if (method === 'PUT') Object.assign(state, initial(), JSON.parse(body));
    return json(200, state);
  }
  const prefer = headers.prefer === undefined ? undefined : String(headers.prefer);
  const sent = body === '' ? null : (JSON.parse(body) as Record<string, unknown>);
  state.requests.push({ method, path, prefer, body: sent });
  if (headers.authorization !== `Bearer ${TOKEN}`) return problem(401);
  const scripted = state.script.shift();
  if (scripted !== undefined) return problem(scripted.status, scripted.headers);

  if (method === 'GET' && /^\/v1\/(models|deployments)\/[\w-]+\/[\w-]+$/.test(path)) {
    return json(200, { owner: 'acme', name: 'deblur', latest_version: { id: 'v' } });
  }
  const created = /^\/v1\/(?:(models|deployments)\/([\w-]+\/[\w-]+)\/)?predictions$/.exec(path);
  if (method === 'POST' && created !== null) {
    if (created[1] === undefined && typeof sent?.['version'] !== 'string') return problem(422);
    const { webhook } = sent as { webhook?: string };
    // As documented: https only.
    if (webhook !== undefined && !webhook.startsWith('https:')) return problem(422);
    const prediction = create(predictions, created[2] ?? '', sent ?? {});
    if (state.outcome !== null) Object.assign(prediction, { output: null, error: null, logs: '' }, state.outcome);
    // What POST shows is always the beginning.
    return json(201, { ...prediction, status: 'starting', output: null, error: null });
  }
  const known = /^\/v1\/predictions\/([a-z0-9]+)(\/cancel)?$/.exec(path);
  const prediction = predictions.get(known?.[1] ?? '');
  if (prediction === undefined) return problem(404);
  if (known?.[2] !== undefined && method === 'POST' && prediction.status === 'starting') prediction.status = 'canceled';
  return json(200, prediction);
}

function create(predictions: Map<string, Prediction>, model: string, sent: Record<string, unknown>): Prediction {
  const id = `gm3qorzdhgbfurvjtvhg6dckh${predictions.size}`;
  const base = `https://api.replicate.com/v1/predictions/${id}`;
  const prediction: Prediction = {
    id,
    model,
    version: typeof sent['version'] === 'string' ? sent['version'] : 'hidden',
    urls: { get: base, cancel: `${base}/cancel` },
    input: sent['input'],
    created_at: new Date().toISOString(),
    status: 'starting',
    output: null,
    error: null,
    logs: '',
    completed_at: null,
  };
  predictions.set(id, prediction);
  return prediction;
}
