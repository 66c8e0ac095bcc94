/** The runner's own upload, in Node as there: `POST /` says how many bytes of the pattern go where, and waits for the end. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { HttpClient } from '../../../gpu-runner/transfers/http-client.ts';
import { upload } from '../../../gpu-runner/transfers/upload.ts';
import { pattern } from './pattern.ts';

export interface UploadOrder {
  readonly url: string;
  readonly size: number;
  readonly mediaType: string;
  readonly partBytes: number;
}

export async function startUploader(): Promise<{ server: Server; url: string }> {
  const server = createServer((request, response) => {
    obey(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

async function obey(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { url, size, mediaType, partBytes } = (await json(request)) as UploadOrder;
  const http = new HttpClient({ allowOrigins: [new URL(url).origin] });
  await upload({ url, bytes: pattern(size), mediaType, partBytes }, http, AbortSignal.timeout(60_000));
  await http.close();
  response.end();
}
