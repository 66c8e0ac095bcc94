/**
 * A prediction as server-sent events (WHATWG HTML § 9.2): `start` when its work begins, `progress`, and `completed`,
 * whatever the end, after which the stream closes. Each carries the whole prediction, so that what was missed, or passed
 * too quickly to be told, is in the next. An event's id is the revision it shows: whoever reconnects with
 * `Last-Event-ID` goes on from there, and gets 204, on which browsers give up, when it has seen the end.
 */
import { notFound } from '@deblur/shared/protocol/errors.ts';
import { EVENT_STREAM_MAX_MS, PREDICTION_POLL_MS } from '@deblur/shared/limits.ts';
import { isTerminal } from '@deblur/shared/protocol/prediction.ts';
import { isSame } from '@deblur/shared/net/http.ts';
import type { Handler } from 'hono';
import { streamSSE, type SSEStreamingApi } from 'hono/streaming';
import { readStreamToken } from '../../predictions/prediction-id.ts';
import type { Predictions, PredictionSnapshot } from '../../predictions/ports.ts';
import type { AppContext, AppEnv } from '../context.ts';
import type { Ports } from '../ports.ts';

const RECONNECT_MS = 1_000;

export function wantsEventStream(c: AppContext): boolean {
  const types = (c.req.header('accept') ?? '').split(',').map((range) => range.split(';', 1)[0]?.trim().toLowerCase());
  return types.includes('text/event-stream');
}

/**
 * `GET /v1/streams/{token}`: what a prediction's `urls.stream` names. Whoever has the address may watch this one prediction
 * and needs no key, because those who open it cannot send one: EventSource has no headers, and the `replicate` client's
 * stream sends none.
 */
export function getStream({ predictions }: Ports): Handler<AppEnv, '/v1/streams/:token'> {
  return async (c) => {
    const token = c.req.param('token');
    const { tenantId, id } = readStreamToken(token) ?? {};
    const snapshot = tenantId && id ? await predictions.read(tenantId, id) : null;
    const expected = snapshot?.prediction.urls.stream.split('/').at(-1) ?? '';
    if (!tenantId || !snapshot || !(await isSame(token, expected))) {
      throw notFound('stream');
    }
    return streamPrediction(c, predictions, snapshot, tenantId);
  };
}

export function streamPrediction(
  c: AppContext,
  predictions: Predictions,
  first: PredictionSnapshot,
  tenantId: string,
): Response {
  const seen = lastEventId(c.req.header('last-event-id'));
  if (isTerminal(first.prediction.status) && seen >= first.revision) return c.body(null, 204);
  const response = streamSSE(c, (stream) => send(stream, predictions, tenantId, first, seen));
  // Over Hono's own no-cache, in the answer and in the headers that middleware has begun, which are laid over it.
  response.headers.set('Cache-Control', 'no-store');
  c.header('Cache-Control', 'no-store');
  return response;
}

async function send(
  stream: SSEStreamingApi,
  predictions: Predictions,
  tenantId: string,
  first: PredictionSnapshot,
  lastSeen: number,
): Promise<void> {
  const until = Date.now() + EVENT_STREAM_MAX_MS;
  let seen = lastSeen;
  let snapshot: PredictionSnapshot | null = first;
  // At once, so that the client knows that it is connected.
  await stream.write(`retry: ${RECONNECT_MS}\n\n`);
  while (snapshot !== null && !stream.aborted && Date.now() < until) {
    const event = eventOf(snapshot, seen);
    const { revision, prediction }: PredictionSnapshot = snapshot;
    if (event !== null) await stream.writeSSE({ id: String(revision), event, data: JSON.stringify(prediction) });
    if (isTerminal(prediction.status)) return;
    seen = Math.max(seen, revision);
    snapshot = await predictions.next(tenantId, prediction.id, revision, PREDICTION_POLL_MS);
    // Nothing new: a comment keeps the connection, and finds out whether there is one.
    if (snapshot?.revision === revision) await stream.write(': waiting\n\n');
  }
}

/** What a revision is to somebody who has seen another; null when it is nothing to tell. */
function eventOf({ revision, startedRevision, prediction }: PredictionSnapshot, seen: number): string | null {
  if (revision <= seen) return null;
  if (isTerminal(prediction.status)) return 'completed';
  if (startedRevision === null) return null;
  return seen < startedRevision ? 'start' : 'progress';
}

/** Before everything, when there is none or none of ours. */
const lastEventId = (header: string | undefined): number => (/^\d{1,15}$/.test(header ?? '') ? Number(header) : 0);
