import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { serverSentEvents } from '../../sdk/client/event-stream.ts';
import { Deblur } from '../../sdk/client/index.ts';
import { eventStream, ID, prediction, problem } from './support/predictions.ts';
import { ServiceStandIn, type Answer } from './support/service-stand-in.ts';

const server = 'https://deblur.test';
const output = 'https://cdn.test/v1/results/key';
const picture = new Uint8Array([1, 2, 3]);
const started = prediction({ status: 'processing', progress: { done: 1, total: 4 } });
const half = prediction({ status: 'processing', progress: { done: 2, total: 4 } });
const succeeded = prediction({ status: 'succeeded', output, progress: { done: 4, total: 4 } });

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

function serviceOf(...answers: readonly Answer[]): { readonly service: ServiceStandIn; readonly client: Deblur } {
  const service = new ServiceStandIn(...answers);
  return { service, client: new Deblur({ server, apiKey: 'secret', fetch: service.fetch }) };
}

async function settled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  await vi.runAllTimersAsync();
  return promise;
}

/** Begins, says nothing more, and ends by the signal of its request. */
const silentStream = (request: Request): Response => {
  const body = new ReadableStream({
    start: (controller) =>
      request.signal.addEventListener('abort', () => controller.error(request.signal.reason), { once: true }),
  });
  return new Response(body);
};

it('deblur() creates, follows the events and fetches the result, which gets no key', async () => {
  const { service, client } = serviceOf(
    Response.json(prediction(), { status: 202 }),
    eventStream([1, 'start', started], [2, 'progress', half], [3, 'completed', succeeded]),
    new Response(new Uint8Array([9, 8]), { headers: { 'content-type': 'image/webp' } }),
  );
  const seen: string[] = [];
  const result = await client.deblur(picture, { onProgress: ({ done, total }) => seen.push(`${done}/${total}`) });
  expect(result).toMatchObject({ bytes: new Uint8Array([9, 8]), type: 'image/webp', url: output });
  expect(seen).toEqual(['1/4', '2/4', '4/4']);
  expect(service.header('authorization')).toEqual(['Bearer secret', 'Bearer secret', null]);
  expect(service.requests[2]!.url).toBe(output);
});

it('a stream that breaks is opened again after the last event that came', async () => {
  const { service, client } = serviceOf(
    eventStream([1, 'start', started], [2, 'progress', half]),
    Response.json(half),
    eventStream([5, 'completed', succeeded]),
  );
  expect(await settled(client.predictions.wait(ID))).toEqual(succeeded);
  expect(service.header('last-event-id')).toEqual([null, null, '2']);
});

it('where no event comes through, the prediction is read instead', async () => {
  const { service, client } = serviceOf(silentStream, Response.json(half), silentStream, Response.json(succeeded));
  expect(await settled(client.predictions.wait(ID))).toEqual(succeeded);
  expect(service.requests.map(({ headers }) => headers.get('accept'))).toEqual([
    'text/event-stream',
    null,
    'text/event-stream',
    null,
  ]);
});

it('the end that was seen already is read from the prediction (204)', async () => {
  const { client } = serviceOf(new Response(null, { status: 204 }), Response.json(succeeded));
  expect(await settled(client.predictions.wait(ID))).toEqual(succeeded);
});

it.each([
  ['failed', 'image_truncated: The picture ends: early.', 'image_truncated', 'The picture ends: early.'],
  ['failed', 'Something broke', 'internal', 'Something broke'],
  ['canceled', null, 'canceled', `Prediction ${ID} was cancelled.`],
] as const)('a prediction that %s with "%s" throws %s', async (status, error, code, detail) => {
  const ended = prediction({ status, error });
  const { client } = serviceOf(eventStream([1, 'completed', ended]));
  await expect(client.predictions.wait(ID)).rejects.toMatchObject({ code, detail, prediction: ended });
});

it('a caller who aborts gets the reason at once, and the prediction is cancelled', async () => {
  const { service, client } = serviceOf(Response.json(prediction()), silentStream, Response.json(prediction()));
  const abort = new AbortController();
  const failure = client.deblur(picture, { signal: abort.signal });
  failure.catch(() => undefined);
  await vi.advanceTimersByTimeAsync(10);
  const reason = new Error('no more');
  abort.abort(reason);
  await expect(failure).rejects.toBe(reason);
  expect(service.requests.map(({ method, url }) => `${method} ${new URL(url).pathname}`)).toEqual([
    'POST /v1/predictions',
    `GET /v1/predictions/${ID}`,
    `POST /v1/predictions/${ID}/cancel`,
  ]);
});

it('what takes longer than timeoutMs is a client_timeout, and the prediction is cancelled', async () => {
  const { service, client } = serviceOf(Response.json(prediction()), silentStream, Response.json(prediction()));
  const failure = settled(client.deblur(picture, { timeoutMs: 5_000 }));
  await expect(failure).rejects.toMatchObject({ code: 'client_timeout' });
  expect(service.requests.at(-1)!.url).toBe(`${server}/v1/predictions/${ID}/cancel`);
});

it('a prediction that does not exist is not waited for', async () => {
  const { client } = serviceOf(problem(404, 'not_found'));
  await expect(client.predictions.wait(ID)).rejects.toMatchObject({ code: 'not_found', status: 404 });
});

it('events are the same wherever the network cuts them, with any of the three ends of a line', async () => {
  const text =
    ': hello\nretry: 1000\r\n\r\nid: 7\revent: progress\rdata: {"a":\rdata:"é"}\r\rdata: x\n\nevent: cut off';
  const bytes = new TextEncoder().encode(text);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const piece of [bytes.subarray(0, cut), bytes.subarray(cut)]) controller.enqueue(piece);
        controller.close();
      },
    });
    const events = [];
    for await (const event of serverSentEvents(body, 1_000)) events.push(event);
    expect(events, `cut at ${cut}`).toEqual([
      { event: 'progress', id: '7', data: '{"a":\n"é"}' },
      { event: 'message', id: undefined, data: 'x' },
    ]);
  }
});
