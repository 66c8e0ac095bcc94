import type { Prediction } from '../../../sdk/client/types.ts';

export const ID = 'abcdefghijklmnopqrstuvwxyz';

export function prediction(changes: Partial<Prediction> = {}): Prediction {
  return {
    id: ID,
    model: 'deblur/dhnet-edge',
    version: '0'.repeat(64),
    status: 'starting',
    input: {},
    output: null,
    error: null,
    logs: '',
    metrics: {},
    progress: null,
    urls: { get: 'https://deblur.test/get', cancel: 'https://deblur.test/cancel' },
    created_at: '2026-11-01T00:00:00.000Z',
    started_at: null,
    completed_at: null,
    webhook: null,
    webhook_events_filter: null,
    data_removed: false,
    ...changes,
  };
}

/** An answer in the service's form of failures. */
export function problem(status: number, code: string, headers: Record<string, string> = {}): Response {
  const body = {
    type: `urn:deblur:problem:${code}`,
    title: '',
    status,
    detail: `about ${code}`,
    code,
    request_id: 'r1',
  };
  return Response.json(body, { status, headers: { 'content-type': 'application/problem+json', ...headers } });
}

/** Server-sent events, one for each prediction, and then the end of the connection. */
export function eventStream(...events: readonly (readonly [id: number, event: string, Prediction])[]): Response {
  const text = events.map(([id, event, data]) => `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  return new Response(text.join(''), { headers: { 'content-type': 'text/event-stream' } });
}
