/** A webhook receiver over real sockets, that answers as it is told through `/control`, and remembers what it got. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** How the next messages are answered, one after the other; then 204. */
export interface ScriptedAnswer {
  readonly status: number;
  readonly headers?: Record<string, string>;
  /** Bytes behind the head. */
  readonly body?: number;
  readonly hang?: 'head' | 'body' | 'socket';
}

export interface ReceivedWebhook {
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}

interface State {
  script: ScriptedAnswer[];
  received: ReceivedWebhook[];
}

export async function startReceiverStandIn(): Promise<{ server: Server; url: string }> {
  const state: State = { script: [], received: [] };
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const path = request.url ?? '';
      if (path === '/control') {
        if (request.method === 'PUT') Object.assign(state, { script: [], received: [] }, JSON.parse(body));
        return response.end(JSON.stringify(state));
      }
      state.received.push({ path, headers: request.headers as Record<string, string>, body });
      const { status, headers, body: bytes = 0, hang } = state.script.shift() ?? { status: 204 };
      if (hang === 'head') return;
      if (hang === 'socket') return request.socket.destroy();
      response.writeHead(status, headers);
      if (hang === 'body') return response.write('…');
      return response.end('x'.repeat(bytes));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}
