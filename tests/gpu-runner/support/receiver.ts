/** A server on loopback that hands out sources and takes uploads, as the gateway will. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ReceivedUpload {
  readonly method: 'PUT' | 'POST';
  readonly path: string;
  /** By performance.now(). */
  readonly at: number;
  readonly headers: IncomingMessage['headers'];
  readonly bytes: Buffer;
}

export interface Receiver {
  readonly origin: string;
  /** What was PUT or POSTed, refused attempts included. */
  readonly uploads: ReceivedUpload[];
  /** Answers to GET, by path. */
  readonly sources: Map<string, Buffer | ((response: ServerResponse) => void)>;
  /** Status of the next of these, in turn; 201 when there is none. `destroy` cuts the connection. */
  readonly nextAnswers: (number | 'destroy')[];
  close(): Promise<void>;
}

export async function startReceiver(): Promise<Receiver> {
  const uploads: ReceivedUpload[] = [];
  const sources: Receiver['sources'] = new Map();
  const nextAnswers: (number | 'destroy')[] = [];

  const take = async (method: 'PUT' | 'POST', request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    uploads.push({
      method,
      path: request.url ?? '',
      at: performance.now(),
      headers: request.headers,
      bytes: Buffer.concat(chunks),
    });
    const answer = nextAnswers.shift() ?? 201;
    if (answer === 'destroy') request.socket.destroy();
    else response.writeHead(answer).end();
  };

  const server = createServer((request, response) => {
    const { method } = request;
    if (method === 'PUT' || method === 'POST') return void take(method, request, response).catch(() => undefined);
    const source = sources.get(request.url ?? '');
    if (source === undefined) return void response.writeHead(404).end();
    if (typeof source === 'function') return source(response);
    response.writeHead(200, { 'content-length': source.length }).end(source);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  return { origin: `http://127.0.0.1:${port}`, uploads, sources, nextAnswers, close };
}
