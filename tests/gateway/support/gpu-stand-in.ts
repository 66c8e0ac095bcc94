/**
 * Stands in for the GPU runner: a Node server that speaks Cog's contract over real sockets, counts, and restores nothing.
 * It fetches the source from the internal URL and uploads by PUT like the real one. Tests steer it through `/control`.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { readImageHeader } from '@deblur/shared/image-header/index.ts';
import sharp from 'sharp';
import { jpeg, png, webp } from './pictures.ts';

/** What the next requests under /predictions are answered with, one after the other; then normally. */
export type Scripted =
  | { readonly kind: 'status'; readonly status: number; readonly headers?: Record<string, string> }
  | { readonly kind: 'body'; readonly status: number; readonly body: string }
  | { readonly kind: 'failed'; readonly error: string }
  | { readonly kind: 'in-flight' }
  | { readonly kind: 'hang' }
  | { readonly kind: 'no-upload' };

/**
 * How it goes about its work: it answers when it is done, or it answers 202 and goes on by itself, calling back or only
 * when it is asked; `forgets`: it answers 202 and then knows of nothing.
 */
export type Working = 'until done' | 'calls back' | 'silently' | 'forgets';

export interface GpuRequest {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly prefer: string | undefined;
  /** Headers of W3C Trace Context that came. */
  readonly trace: { readonly traceparent?: string; readonly tracestate?: string };
  readonly prediction: {
    readonly id: string;
    readonly input: Record<string, unknown>;
    readonly webhook?: string;
    readonly webhook_events_filter?: readonly string[];
  } | null;
  /** Length and SHA-256 of what the signed source URL gave. */
  readonly source?: { readonly status: number; readonly bytes: number; readonly sha256: string };
  readonly uploads?: readonly number[];
  /** What the callbacks were answered with. */
  readonly callbacks?: readonly number[];
}

interface State {
  script: Scripted[];
  requests: GpuRequest[];
  health: string;
  works: Working;
}

/** By id: what GET shows. */
const predictions = new Map<string, object>();

const initial = (): State => ({ script: [], requests: [], health: 'READY', works: 'until done' });

const report = { tiles: 4, width: 8, height: 8, decodeMs: 1, restoreMs: 3, inferMs: 2, encodeMs: 1 };

export async function startGpuStandIn(token: string): Promise<{ server: Server; url: string }> {
  const state = initial();
  const server = createServer((request, response) => {
    route(state, token, request, response).catch((error: unknown) => {
      response.writeHead(500).end(String(error));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

async function route(state: State, token: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = request.url ?? '';
  const body = await text(request);
  const json = (status: number, value: unknown): void => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  };
  if (path === '/control') {
    if (request.method === 'PUT') Object.assign(state, initial(), JSON.parse(body));
    if (request.method === 'PATCH') Object.assign(state, JSON.parse(body));
    return json(200, state);
  }
  if (path === '/health-check') return json(200, { status: state.health });
  if (!path.startsWith('/predictions/')) return json(404, {});
  if (request.headers.authorization !== `Bearer ${token}`) return json(401, {});

  const prediction = body === '' ? null : (JSON.parse(body) as NonNullable<GpuRequest['prediction']>);
  const { method = '', headers } = request;
  const [id = '', verb] = path.split('/').slice(2);
  const prefer = headers.prefer === undefined ? undefined : String(headers.prefer);
  const { authorization, traceparent, tracestate } = headers as Record<string, string | undefined>;
  const trace = { ...(traceparent ? { traceparent } : {}), ...(tracestate ? { tracestate } : {}) };
  const seen: GpuRequest = { method, path, authorization, prefer, trace, prediction };
  const index = state.requests.push(seen) - 1;
  const scripted = state.script.shift();
  switch (scripted?.kind) {
    case 'status':
      return void response.writeHead(scripted.status, scripted.headers).end('{}');
    case 'body':
      return void response.writeHead(scripted.status).end(scripted.body);
    case 'failed':
      return json(200, { id, status: 'failed', error: scripted.error });
    case 'in-flight':
      return json(202, { id, status: 'processing' });
    case 'hang':
      return;
  }
  if (verb === 'cancel') return json(200, { id, status: 'canceled' });
  if (state.works !== 'until done') {
    if (method === 'GET') return predictions.has(id) ? json(200, predictions.get(id)) : json(404, {});
    json(202, { id, status: 'starting' });
    if (state.works === 'forgets') return;
    const callbacks = await goOn(id, prediction, state.works === 'calls back' ? prediction?.webhook : undefined);
    state.requests[index] = { ...seen, callbacks };
    return;
  }
  const input =
    prediction?.input ?? (state.requests.find((earlier) => earlier.prediction)?.prediction?.input as object);
  state.requests[index] = { ...seen, ...(await work(input, scripted?.kind !== 'no-upload')) };
  json(200, { id, status: 'succeeded', output: { report } });
}

/** Works by itself, and says so: each state is there for GET before it is called back. */
async function goOn(id: string, prediction: GpuRequest['prediction'], webhook?: string): Promise<number[]> {
  const callbacks: number[] = [];
  const say = async (said: object): Promise<void> => {
    const shown = { id, ...said };
    predictions.set(id, shown);
    if (webhook === undefined) return;
    const headers = { 'content-type': 'application/json' };
    const { status } = await fetch(webhook, { method: 'POST', headers, body: JSON.stringify(shown) });
    callbacks.push(status);
  };
  await say({ status: 'processing' });
  await say({ status: 'processing', progress: { done: 1, total: 4 } });
  await work(prediction?.input ?? {}, true);
  await say({ status: 'succeeded', output: { report } });
  return callbacks;
}

async function work(input: object, upload: boolean): Promise<Pick<GpuRequest, 'source' | 'uploads'>> {
  const { image, format, master_upload_url, result_upload_url } = input as Record<string, string>;
  const response = await fetch(image ?? '');
  const bytes = Buffer.from(await response.arrayBuffer());
  const source = { status: response.status, bytes: bytes.length, sha256: sha256(bytes).toString('hex') };
  const uploads: number[] = [];
  const size = sizeOf(bytes);
  if (upload && master_upload_url) uploads.push(await put(master_upload_url, 'image/png', await fileOf('png', size)));
  if (upload && result_upload_url) {
    uploads.push(await put(result_upload_url, `image/${format}`, await fileOf(format ?? '', size)));
  }
  return { source, uploads };
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/** The stand-in of the edge writes masters that are no pictures: those are of the smallest size. */
function sizeOf(bytes: Uint8Array): Size {
  try {
    return readImageHeader(bytes);
  } catch {
    return { width: 8, height: 8 };
  }
}

/** A file with a real header, because the gateway reads it. */
async function fileOf(format: string, { width, height }: Size): Promise<Buffer<ArrayBuffer>> {
  if (format === 'jpeg') return Buffer.from(jpeg({ width, height }));
  if (format === 'png') return Buffer.from(png({ width, height }));
  if (format === 'webp') return Buffer.from(webp({ width, height }));
  const create = { width, height, channels: 3, background: 'grey' } as const;
  return Buffer.from(await sharp({ create }).avif({ effort: 0 }).toBuffer());
}

async function put(url: string, type: string, body: Buffer<ArrayBuffer>): Promise<number> {
  const digest = `sha-256=:${sha256(body).toString('base64')}:`;
  const headers = { 'content-type': type, 'content-digest': digest };
  return (await fetch(url, { method: 'PUT', headers, body })).status;
}

const sha256 = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest();
