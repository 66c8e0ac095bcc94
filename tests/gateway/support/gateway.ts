/** The gateway as a caller sees it, and the two stand-ins behind it. */
import { env, exports } from 'cloudflare:workers';
import { inject } from 'vitest';
import { assertConforms } from './conformance.ts';
import type { GpuRequest, Scripted, Working } from './gpu-stand-in.ts';

const ORIGIN = 'https://deblur.test';

/** Whatever a test asks, the answer is one that the OpenAPI document has. */
export async function call(path: string, init?: RequestInit): Promise<Response> {
  const request = new Request(new URL(path, ORIGIN), init);
  const response = await exports.default.fetch(request);
  await assertConforms(request, response);
  return response;
}

export function deblur(body: BodyInit | null, query = '', headers: Record<string, string> = {}): Promise<Response> {
  return call(`/v1/deblur${query}`, { method: 'POST', body, headers });
}

/** The same over a real socket, for what only a real connection does. */
export function deblurOverSocket(body: BodyInit, init: RequestInit = {}): Promise<Response> {
  return fetch(`http://127.0.0.1:${inject('gatewayPort')}/v1/deblur`, { method: 'POST', body, ...init });
}

/** What most tests compare of a failure. */
export async function problemOf(response: Response) {
  const { code, status, request_id: requestId } = await response.json<Record<string, unknown>>();
  return {
    status: response.status,
    code,
    type: response.headers.get('content-type'),
    consistent: status === response.status && requestId === response.headers.get('x-request-id'),
    cacheControl: response.headers.get('cache-control'),
  };
}

export function problem(status: number, code: string) {
  return { status, code, type: 'application/problem+json', consistent: true, cacheControl: 'no-store' };
}

/** The headers that say how an answer was made. */
export async function madeHow(response: Response) {
  await response.arrayBuffer();
  const { headers } = response;
  return `${response.status} ${headers.get('x-cache')} ${headers.get('x-placement')} ${headers.get('content-type')}`;
}

export function resultPathOf(response: Response): string {
  const path = /^<([^>]+)>; rel="canonical"$/.exec(response.headers.get('link') ?? '')?.[1];
  if (path === undefined) throw new Error(`no canonical link: ${response.headers.get('link')}`);
  return path;
}

export const edge = env.EDGE_CONTROL;

interface GpuState {
  readonly script: readonly Scripted[];
  readonly requests: readonly GpuRequest[];
  readonly health: string;
  readonly works: Working;
}

const controlUrl = `${inject('gpuRunnerUrl')}/control`;

export const gpu = {
  /** Forgets what it saw, and is as said from now on. */
  set: async (state: Partial<GpuState>): Promise<void> => {
    await (await fetch(controlUrl, { method: 'PUT', body: JSON.stringify(state) })).arrayBuffer();
  },
  /** Is so from now on, and forgets nothing. */
  works: async (works: Working): Promise<void> => {
    await (await fetch(controlUrl, { method: 'PATCH', body: JSON.stringify({ works }) })).arrayBuffer();
  },
  requests: async (): Promise<readonly GpuRequest[]> => (await (await fetch(controlUrl)).json<GpuState>()).requests,
};

/** Keys in the bucket under a prefix. */
export async function stored(prefix: string): Promise<string[]> {
  const { objects } = await env.STORE.list({ prefix });
  return objects.map(({ key }) => key);
}

export async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10));
}
