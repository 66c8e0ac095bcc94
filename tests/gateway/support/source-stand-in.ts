/**
 * Stands in for the hosts that the gateway calls by address: a Node server over real sockets that answers as it was told
 * through `/control`, and counts.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** What one path answers. */
export interface ScriptedAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** The body, base64. */
  readonly body?: string;
  /** Answered only so often; then 200 without a body. */
  readonly times?: number;
  /** The body stops after its first byte, or the connection is cut there. */
  readonly breaks?: 'hangs' | 'cuts';
}

export interface SourceRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

interface State {
  answers: Record<string, ScriptedAnswer>;
  requests: SourceRequest[];
}

export async function startSourceStandIn(): Promise<{ server: Server; url: string }> {
  const state: State = { answers: {}, requests: [] };
  const server = createServer((request, response) => {
    route(state, request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

async function route(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { url: path = '', method = '', headers } = request;
  const body = await text(request);
  if (path === '/control') {
    if (method === 'PUT') Object.assign(state, { answers: {}, requests: [] }, JSON.parse(body));
    return void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(state));
  }
  state.requests.push({ method, path, headers, body });
  answer(response, headers, take(state, path));
}

function take(state: State, path: string): ScriptedAnswer {
  const scripted = state.answers[path];
  if (scripted === undefined) return { status: 404 };
  if (scripted.times === undefined) return scripted;
  if (scripted.times === 0) return { ...scripted, status: 200 };
  state.answers[path] = { ...scripted, times: scripted.times - 1 };
  return scripted;
}

function answer(response: ServerResponse, asked: IncomingMessage['headers'], scripted: ScriptedAnswer): void {
  const { status = 200, headers = {}, body = '', breaks } = scripted;
  const etag = headers['etag'];
  if (etag !== undefined && asked['if-none-match'] === etag) return void response.writeHead(304, { etag }).end();
  const bytes = Buffer.from(body, 'base64');
  response.writeHead(status, headers);
  if (breaks === undefined) return void response.end(bytes);
  response.write(bytes.subarray(0, 1), () => {
    if (breaks === 'cuts') response.destroy();
  });
}
