/**
 * The host of pictures that are asked for by address: a Node server that answers as tests have told it to, and counts.
 * `PUT /script/{name}` sets the answers of `/{name}`, one after the other, the last one for ever; `GET /count/{name}`.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export interface SourceAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Base64. */
  readonly body?: string;
  /** `hang`: headers never come. `stall`: the body never ends. `break`: the connection ends in the body. */
  readonly fault?: 'hang' | 'stall' | 'break';
}

export async function startSourceHost(): Promise<{ server: Server; origin: string }> {
  const scripts = new Map<string, SourceAnswer[]>();
  const counts = new Map<string, number>();
  const server = createServer((request, response) => void route(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };

  async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, first = '', second = ''] = (request.url ?? '').split('/');
    if (first === 'script') {
      scripts.set(second, JSON.parse(await text(request)) as SourceAnswer[]);
      return void response.end();
    }
    if (first === 'count') return void response.end(String(counts.get(second) ?? 0));
    counts.set(first, (counts.get(first) ?? 0) + 1);
    const script = scripts.get(first) ?? [{ status: 404 }];
    const answer = (script.length > 1 ? script.shift() : script[0]) ?? { status: 404 };
    if (answer.fault === 'hang') return;
    const body = Buffer.from(answer.body ?? '', 'base64');
    response.writeHead(answer.status, answer.headers);
    if (answer.fault === undefined) return void response.end(body);
    response.write(body);
    if (answer.fault === 'break') setTimeout(() => response.destroy(), 50);
  }
}
