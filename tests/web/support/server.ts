/**
 * Serves a built page over a real socket with the headers of its own `_headers` file, and stands in for the service behind
 * it. The true service is the end-to-end test's business.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { extname, join, normalize } from 'node:path';

const MEDIA_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.jpg': 'image/jpeg',
  '.wasm': 'application/wasm',
  '.onnx': 'application/octet-stream',
  '.webmanifest': 'application/manifest+json',
  '.png': 'image/png',
  '.safetensors': 'application/octet-stream',
};

export interface DeblurRequest {
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: Uint8Array;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | string;
}

/** The service's part: tests set what it answers and read what it was sent. */
export class ServiceDouble {
  readonly uploads: DeblurRequest[] = [];
  readonly paths: string[] = [];
  deblur: (request: DeblurRequest) => Answer | Promise<Answer> = () => problem(500, 'internal', 'no answer was set');
  models: Answer = json({ models: [] });
  /** Answers by `METHOD /path`, one after the other, the last one for ever. */
  readonly routes = new Map<string, Answer[]>();

  reset(): void {
    this.uploads.length = 0;
    this.paths.length = 0;
    this.routes.clear();
  }
}

export function json(value: unknown, status = 200): Answer {
  return { status, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(value) };
}

export function problem(status: number, code: string, detail: string, title = 'Title of the problem'): Answer {
  const body = JSON.stringify({ type: 'about:blank', title, status, detail, code, request_id: 'req-1' });
  return { status, headers: { 'Content-Type': 'application/problem+json' }, body };
}

export interface PageServer {
  readonly origin: string;
  readonly service: ServiceDouble;
  close(): Promise<void>;
}

/** @param folder what Vite built */
export async function servePage(folder: string): Promise<PageServer> {
  const service = new ServiceDouble();
  const rules = parseHeaders(await readFile(join(folder, '_headers'), 'utf8'));
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    service.paths.push(url.pathname);
    answer(request, url, service, folder, rules).then(
      (result) => send(response, result),
      () => send(response, { status: 404, headers: {}, body: 'not found' }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { origin: `http://localhost:${port}`, service, close };
}

async function answer(
  request: IncomingMessage,
  url: URL,
  service: ServiceDouble,
  folder: string,
  rules: readonly HeaderRule[],
): Promise<Answer> {
  if (url.pathname === '/v1/models') return service.models;
  if (url.pathname === '/v1/deblur') {
    const upload = { query: url.searchParams, headers: request.headers, body: await buffer(request) };
    service.uploads.push(upload);
    return service.deblur(upload);
  }
  const answers = service.routes.get(`${request.method} ${url.pathname}`);
  const next = answers === undefined || answers.length > 1 ? answers?.shift() : answers[0];
  if (next !== undefined) return next;
  // Static assets of Workers: `/privacy` is privacy.html.
  const page = /^\/[\w-]+$/.test(url.pathname) ? `${url.pathname}.html` : url.pathname;
  const path = normalize(url.pathname === '/' ? '/index.html' : page);
  const body = await readFile(join(folder, path));
  const own = { 'Content-Type': MEDIA_TYPES[extname(path)] ?? 'application/octet-stream' };
  return { status: 200, headers: { ...own, ...headersFor(rules, url.pathname) }, body };
}

function send(response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, { ...headers });
  response.end(body);
}

// ---- `_headers`, as Workers' static assets read it ---------------------------------------------

interface HeaderRule {
  readonly path: string;
  /** Headers of the rules before it that do not count here. */
  readonly detached: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
}

function parseHeaders(text: string): HeaderRule[] {
  const rules: { path: string; detached: string[]; headers: Record<string, string> }[] = [];
  for (const line of text.split('\n')) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    if (!line.startsWith(' ')) rules.push({ path: line.trim(), detached: [], headers: {} });
    else {
      const [, detached, name, value] = /^\s+(?:! ([\w-]+)|([\w-]+):\s*(.+))$/.exec(line) ?? [];
      const rule = rules.at(-1);
      if (rule !== undefined && detached !== undefined) rule.detached.push(detached);
      else if (rule !== undefined && name !== undefined && value !== undefined) rule.headers[name] = value;
      else throw new Error(`_headers: ${line}`);
    }
  }
  return rules;
}

function headersFor(rules: readonly HeaderRule[], pathname: string): Record<string, string> {
  const matching = rules.filter(({ path }) =>
    path.endsWith('*') ? pathname.startsWith(path.slice(0, -1)) : path === pathname,
  );
  const merged = new Map<string, string>();
  for (const { detached, headers } of matching) {
    for (const name of detached) merged.delete(name);
    for (const [name, value] of Object.entries(headers)) merged.set(name, value);
  }
  return Object.fromEntries(merged);
}
