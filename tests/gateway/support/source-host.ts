/**
 * Stands in for the hosts that the gateway calls by address: a Node server over real sockets that answers as it was told
 * through `/control`, and remembers who asked for what.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export interface SourceAnswer {
  /** 200 when it is not said; 304 to who has its `etag` already. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Base64. */
  readonly body?: string;
  /**
   * `refuse`: the connection ends without an answer. `hang`: headers never come. `stall`: the body never ends. `break`: the
   * connection ends in the body.
   */
  readonly fault?: 'refuse' | 'hang' | 'stall' | 'break';
}

/** By path: the answers one after the other, the last one for ever. */
export type Script = Readonly<Record<string, readonly SourceAnswer[]>>;

export interface SourceRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

export async function startSourceHost(): Promise<{ server: Server; url: string }> {
  const script = new Map<string, SourceAnswer[]>();
  const requests: SourceRequest[] = [];
  const server = createServer((request, response) => {
    route(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };

  async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { url: path = '', method = '', headers } = request;
    const body = await text(request);
    if (path === '/control') return control(method, body, response);
    requests.push({ method, path, headers, body });
    const [next = { status: 404 }, ...later] = script.get(path) ?? [];
    if (later.length > 0) script.set(path, later);
    answer(response, headers, next);
  }

  /** PUT forgets everything else, PATCH adds, GET tells who asked. */
  function control(method: string, body: string, response: ServerResponse): void {
    if (method === 'PUT') {
      script.clear();
      requests.length = 0;
    }
    if (method !== 'GET') {
      for (const [path, answers] of Object.entries(JSON.parse(body) as Script)) script.set(path, [...answers]);
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(requests));
  }
}

function answer(response: ServerResponse, asked: IncomingMessage['headers'], scripted: SourceAnswer): void {
  const { status = 200, headers = {}, body = '', fault } = scripted;
  if (fault === 'refuse') return void response.destroy();
  if (fault === 'hang') return;
  const etag = headers['etag'];
  if (etag !== undefined && asked['if-none-match'] === etag) return void response.writeHead(304, { etag }).end();
  const bytes = Buffer.from(body, 'base64');
  response.writeHead(status, headers);
  if (fault === undefined) return void response.end(bytes);
  response.flushHeaders();
  response.write(bytes);
  if (fault === 'break') setTimeout(() => response.destroy(), 50);
}
