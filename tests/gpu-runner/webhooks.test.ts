/** What a prediction's webhook hears, from the real server over real sockets. */
import { createHmac, randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { WEBHOOK_LOGS_INTERVAL_MS } from '../../gpu-runner/limits.ts';
import type { PredictionView } from '../../gpu-runner/predictions/prediction-json.ts';
import { gradientPng } from './support/images.ts';
import { startReceiver, type ReceivedUpload, type Receiver } from './support/receiver.ts';
import { startServer, until, type RunningServer } from './support/runner.ts';

const KEY = randomBytes(32);
const ASYNC = { prefer: 'respond-async' };
const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

let receiver: Receiver;
let server: RunningServer;

beforeAll(async () => {
  receiver = await startReceiver();
  receiver.sources.set('/large.png', await gradientPng(1400, 900));
  receiver.sources.set('/small.png', await gradientPng(40, 30));
  server = await startServer({
    ALLOW_ORIGINS: receiver.origin,
    WEBHOOK_SECRET: `whsec_${KEY.toString('base64')}`,
    DRAIN_SECONDS: '100',
  });
});
afterEach(() => {
  receiver.uploads.length = 0;
  receiver.nextAnswers.length = 0;
});
afterAll(async () => {
  await server.stop();
  await receiver.close();
});

interface Heard extends PredictionView {
  readonly received: ReceivedUpload;
}

const heard = (): Heard[] =>
  receiver.uploads
    .filter(({ method }) => method === 'POST')
    .map((received) => ({ ...(JSON.parse(received.bytes.toString()) as PredictionView), received }));
const isOver = ({ status }: PredictionView): boolean => !['starting', 'processing'].includes(status);
const untilCompleted = (): Promise<void> => until(() => heard().some(isOver));

function put(id: string, source: string, extra: object = {}, headers: Record<string, string> = {}) {
  const input = { image: `${receiver.origin}${source}`, format: 'jpeg' };
  const body = { id, input, webhook: `${receiver.origin}/hook?token=t`, ...extra };
  return server.call('PUT', `/predictions/${id}`, body, { headers: { ...ASYNC, ...headers } });
}

it('tells start, progress, output and end, in order, as GET shows them', async () => {
  expect((await put('all', '/large.png')).status).toBe(202);
  await untilCompleted();
  const events = heard();
  expect(events[0]).toMatchObject({ id: 'all', status: 'processing', progress: null, output: null });
  const done = events.map(({ progress }) => progress?.done ?? 0);
  expect(done).toEqual([...done].sort((a, b) => a - b));
  expect(done.some((count) => count > 0 && count < events.at(-1)!.progress!.total)).toBe(true);
  expect(events.at(-2)).toMatchObject({ status: 'processing', output: expect.stringMatching(/^data:image\/jpeg/) });
  const { received, ...last } = events.at(-1)!;
  expect(last).toEqual((await server.call('GET', '/predictions/all')).body);
  expect(last).toMatchObject({ status: 'succeeded', error: null });
  expect(last.logs).toMatch(/^100%\|#+\| (\d+)\/\1 tiles\n$/);
  expect(received).toMatchObject({ path: '/hook?token=t', headers: { 'content-type': 'application/json' } });
});

it('tells progress at most every 500 ms', async () => {
  await put('throttled', '/large.png', { webhook_events_filter: ['logs'] });
  await until(async () => isOver((await server.call('GET', '/predictions/throttled')).body));
  const times = heard().map(({ received }) => received.at);
  expect(times.length).toBeGreaterThan(0);
  // Timers and sockets are not exact; twice as often would be far outside.
  for (let i = 1; i < times.length; i++)
    expect(times[i]! - times[i - 1]!).toBeGreaterThan(WEBHOOK_LOGS_INTERVAL_MS / 2);
  const tiles = (await server.call('GET', '/predictions/throttled')).body.metrics.tiles!;
  expect(times.length).toBeLessThan(tiles);
});

it.each([
  [['completed'], ['succeeded']],
  [
    ['start', 'completed'],
    ['processing', 'succeeded'],
  ],
  [
    ['output', 'completed'],
    ['processing', 'succeeded'],
  ],
])('tells only %j when only that is asked for', async (filter, statuses) => {
  await put(`filter-${filter.join('-')}`, '/small.png', { webhook_events_filter: filter });
  await untilCompleted();
  expect(heard().map(({ status }) => status)).toEqual(statuses);
});

it('tells failures with their code', async () => {
  await put('missing', '/missing.png', { webhook_events_filter: ['completed'] });
  await untilCompleted();
  expect(heard()[0]).toMatchObject({ status: 'failed', error: expect.stringMatching(/^source_fetch_failed: /) });
});

it('tells a cancellation', async () => {
  await put('cancel', '/large.png', { webhook_events_filter: ['completed'] });
  await until(async () => ((await server.call('GET', '/predictions/cancel')).body.progress?.done ?? 0) > 0);
  await server.call('POST', '/predictions/cancel/cancel');
  await untilCompleted();
  expect(heard()).toHaveLength(1);
  expect(heard()[0]).toMatchObject({ status: 'canceled', output: null, error: null });
});

it('signs each attempt by Standard Webhooks, under one id', async () => {
  receiver.nextAnswers.push(500);
  await put('signed', '/small.png', { webhook_events_filter: ['completed'] });
  await until(() => receiver.uploads.length === 2);
  const ids = receiver.uploads.map(({ headers, bytes }) => {
    const id = String(headers['webhook-id']);
    const timestamp = String(headers['webhook-timestamp']);
    expect(Math.abs(Number(timestamp) - Date.now() / 1000)).toBeLessThan(60);
    const signature = createHmac('sha256', KEY).update(`${id}.${timestamp}.${bytes.toString()}`).digest('base64');
    expect(headers['webhook-signature']).toBe(`v1,${signature}`);
    return id;
  });
  expect(ids[0]).toMatch(/\w{8}/);
  expect(ids[1]).toBe(ids[0]);
});

it('tells the end again until it is taken, and the rest once', async () => {
  receiver.nextAnswers.push(503, 'destroy', 500, 429);
  await put('retried', '/small.png', { webhook_events_filter: ['start', 'completed'] });
  await until(() => receiver.uploads.length === 5);
  expect(heard().map(({ status }) => status)).toEqual(['processing', ...new Array(4).fill('succeeded')]);
});

it('follows no redirect, and does not insist where it is refused', async () => {
  receiver.nextAnswers.push(302);
  await put('refused', '/small.png', { webhook_events_filter: ['completed'] });
  await until(async () => isOver((await server.call('GET', '/predictions/refused')).body));
  const text = async (): Promise<string> => (await fetch(`${server.url}/metrics`)).text();
  await until(async () => /deblur_runner_webhooks_total\{event="completed",outcome="lost"\} 1/.test(await text()));
  expect(receiver.uploads).toHaveLength(1);
  expect((await server.call('GET', '/predictions/refused')).body.status).toBe('succeeded');
});

it('passes the trace on to source, upload and webhook, and none that is broken', async () => {
  const seen: (string | undefined)[] = [];
  receiver.sources.set('/traced.png', (response) => {
    seen.push(response.req.headers['traceparent'] as string | undefined);
    response.end(receiver.sources.get('/small.png') as Buffer);
  });
  const input = { image: `${receiver.origin}/traced.png`, result_upload_url: `${receiver.origin}/up` };
  const headers = { traceparent: TRACEPARENT, tracestate: 'a=1', 'x-request-id': 'req-1' };
  await put('traced', '', { input, webhook_events_filter: ['completed'] }, headers);
  await until(() => receiver.uploads.length === 2);
  expect(seen).toEqual([TRACEPARENT]);
  for (const upload of receiver.uploads) {
    expect(upload.headers).toMatchObject({ traceparent: TRACEPARENT, tracestate: 'a=1' });
  }
  const line = server.lines.find(({ event, id }) => event === 'prediction' && id === 'traced');
  expect(line).toMatchObject({ request_id: 'req-1', trace_id: TRACEPARENT.slice(3, 35) });

  receiver.uploads.length = 0;
  await put('untraced', '', { input, webhook_events_filter: [] }, { traceparent: '00-zz-01', tracestate: 'a=1' });
  await until(() => receiver.uploads.length === 1);
  expect(receiver.uploads[0]!.headers).not.toHaveProperty('traceparent');
  expect(receiver.uploads[0]!.headers).not.toHaveProperty('tracestate');
});

it('tells the end although it is asked to stop meanwhile and the receiver fails at first', async () => {
  const own = await startServer({ ALLOW_ORIGINS: receiver.origin, DRAIN_SECONDS: '0' });
  const input = { image: `${receiver.origin}/large.png` };
  const body = { input, webhook: `${receiver.origin}/hook`, webhook_events_filter: ['completed'] };
  await own.call('PUT', '/predictions/last', body, { headers: ASYNC });
  await until(async () => (await own.health()).slots.busy === 1);
  receiver.nextAnswers.push(503, 503);
  expect(await own.stop()).toBe(0);
  expect(heard()).toHaveLength(3);
  for (const view of heard()) {
    expect(view).toMatchObject({ status: 'failed', error: expect.stringMatching(/^runner_unavailable: /) });
    expect(view.received.headers).not.toHaveProperty('webhook-signature');
  }
});
