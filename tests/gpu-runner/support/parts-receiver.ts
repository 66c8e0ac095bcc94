/** A server that takes files in parts as uploadCompletionSchema describes it, and by one PUT; it keeps what it was told. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { uploadCompletionSchema } from '@deblur/shared/protocol/runner-api.ts';

/** What happens to a request instead of what should: a status, or the connection is cut, or nothing ever. */
export type Mishap = number | 'destroy' | 'hang';

export interface PartsReceiver {
  readonly url: string;
  readonly origin: string;
  /** What came, in order: `begin`, `part 2`, `complete`, `abort`, `put`. */
  readonly requests: string[];
  /** Of the next request of that name, in turn. */
  readonly mishaps: Map<string, Mishap[]>;
  readonly files: { readonly bytes: Buffer; readonly mediaType: string | undefined }[];
  /** Headers of the beginning's answer; a Location when nothing else is said. */
  begins: Record<string, string>;
  readonly mostAtOnce: () => number;
  close(): Promise<void>;
}

export async function startPartsReceiver(): Promise<PartsReceiver> {
  const requests: string[] = [];
  const mishaps = new Map<string, Mishap[]>();
  const files: { bytes: Buffer; mediaType: string | undefined }[] = [];
  const parts = new Map<number, Buffer>();
  let mediaType: string | undefined;
  let atOnce = 0;
  let most = 0;

  const etagOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
  const act = (
    name: string,
    number: number,
    body: Buffer,
    request: IncomingMessage,
    response: ServerResponse,
  ): void => {
    if (name === 'put') files.push({ bytes: body, mediaType: request.headers['content-type'] });
    if (name === 'begin') {
      mediaType = request.headers['content-type'];
      return void response.writeHead(201, receiver.begins).end();
    }
    if (number > 0) {
      parts.set(number, body);
      return void response.writeHead(200, { etag: etagOf(body) }).end();
    }
    if (name === 'complete') {
      const { etags, sha256 } = uploadCompletionSchema.parse(JSON.parse(body.toString()));
      const named = etags.map((etag, i) => (etagOf(parts.get(i + 1)!) === etag ? parts.get(i + 1)! : Buffer.alloc(0)));
      const bytes = Buffer.concat(named);
      if (etagOf(bytes) !== sha256) return void response.writeHead(400).end();
      files.push({ bytes, mediaType });
    }
    response.writeHead(204).end();
  };

  const server = createServer((request, response) => {
    void (async () => {
      const { searchParams } = new URL(request.url ?? '', 'http://receiver');
      const number = Number(searchParams.get('partNumber') ?? 0);
      most = Math.max(most, ++atOnce);
      response.once('close', () => atOnce--);
      const body = await buffer(request);
      const isUpload = searchParams.get('uploadId') === 'a/b+c';
      const verbs: Record<string, string> = { DELETE: 'abort', POST: isUpload ? 'complete' : 'begin' };
      const name = number > 0 ? `part ${number}` : (verbs[request.method ?? ''] ?? 'put');
      requests.push(name);
      const mishap = mishaps.get(name)?.shift();
      if (mishap === 'hang') return;
      if (mishap === 'destroy') return void request.socket.destroy();
      if (mishap !== undefined) return void response.writeHead(mishap).end();
      // Another answer than at once: parts that may overlap do.
      setTimeout(() => act(name, number, body, request, response), number > 0 ? 20 : 0);
    })().catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const receiver: PartsReceiver = {
    url: `${origin}/internal/results/token`,
    origin,
    requests,
    mishaps,
    files,
    begins: { location: `?uploadId=${encodeURIComponent('a/b+c')}` },
    mostAtOnce: () => most,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return receiver;
}
