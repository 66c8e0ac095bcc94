import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Deblur, DeblurError } from '../../sdk/client/index.ts';
import { prediction, problem } from './support/predictions.ts';
import { ServiceStandIn, type Answer } from './support/service-stand-in.ts';

const server = 'https://deblur.test';
const picture = new Uint8Array([1, 2, 3]);

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

/** Lets all waits pass at once. */
async function settled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  await vi.runAllTimersAsync();
  return promise;
}

describe('a create', () => {
  it('is sent again with one Idempotency-Key after a refusal and after a lost answer', async () => {
    const { service, client } = serviceOf(
      problem(429, 'rate_limited', { 'retry-after': '7' }),
      new TypeError('fetch failed'),
      problem(409, 'idempotency_conflict'),
      Response.json(prediction(), { status: 202 }),
    );
    expect(await settled(client.predictions.create(picture))).toEqual(prediction());
    const keys = service.header('idempotency-key');
    expect(keys).toHaveLength(4);
    expect(new Set(keys).size).toBe(1);
    expect(keys[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(service.times[1]! - service.times[0]!).toBeGreaterThanOrEqual(7_000);
    const bodies = await Promise.all(service.requests.map((request) => request.bytes()));
    expect(bodies).toEqual(Array.from({ length: 4 }, () => picture));
  });

  it('has another key each time that it is called', async () => {
    const { service, client } = serviceOf(Response.json(prediction()), Response.json(prediction()));
    await client.predictions.create(picture);
    await client.predictions.create(picture);
    expect(new Set(service.header('idempotency-key')).size).toBe(2);
  });

  it('keeps to a Retry-After that is a date', async () => {
    const at = new Date(Math.ceil(Date.now() / 1000) * 1000 + 20_000);
    const { service, client } = serviceOf(
      problem(503, 'service_unavailable', { 'retry-after': at.toUTCString() }),
      Response.json(prediction()),
    );
    await settled(client.predictions.create(picture));
    expect(service.times[1]).toBeGreaterThanOrEqual(at.getTime());
  });

  it('gives up after maxRetries with the last failure', async () => {
    const service = new ServiceStandIn(problem(503, 'runner_busy'), problem(503, 'runner_busy'));
    const client = new Deblur({ server, maxRetries: 1, fetch: service.fetch });
    const failure = settled(client.predictions.create(picture));
    await expect(failure).rejects.toMatchObject({ code: 'runner_busy', status: 503, requestId: 'r1' });
  });

  it('is not sent again when the service wants more than a minute, and the error says how long', async () => {
    const { service, client } = serviceOf(problem(429, 'quota_exceeded', { 'retry-after': '3600' }));
    const failure = settled(client.predictions.create(picture));
    await expect(failure).rejects.toMatchObject({ code: 'quota_exceeded', retryAfterSeconds: 3600 });
    expect(service.requests).toHaveLength(1);
  });

  it('is not sent again when it is at fault, and the error names the fields', async () => {
    const errors = [{ field: 'quality', message: 'must be a whole number' }];
    const body = { code: 'invalid_option', detail: 'quality', status: 422, request_id: 'r2', errors };
    const { service, client } = serviceOf(Response.json(body, { status: 422 }));
    const failure = client.predictions.create(picture, { quality: 0.5 });
    await expect(failure).rejects.toMatchObject({ code: 'invalid_option', fields: errors });
    expect(service.requests).toHaveLength(1);
  });

  it('sends bytes with the options in the query, and an address in JSON, each by the names of the API', async () => {
    const { service, client } = serviceOf(Response.json(prediction()), Response.json(prediction()));
    const options = { workingScale: 2, format: 'webp', webhookEvents: ['start', 'completed'] } as const;
    await client.predictions.create(picture, { ...options, webhook: 'https://me.test/', deadlineSeconds: 30 });
    await client.predictions.create(new URL('https://me.test/a.jpg'), options);
    const [bytes, named] = service.requests;
    expect(Object.fromEntries(new URL(bytes!.url).searchParams)).toEqual({
      working_scale: '2',
      format: 'webp',
      webhook: 'https://me.test/',
      webhook_events_filter: 'start,completed',
    });
    expect(bytes!.headers.get('cancel-after')).toBe('30s');
    expect(await named!.json()).toEqual({
      input: { image: 'https://me.test/a.jpg', working_scale: 2, format: 'webp' },
      webhook_events_filter: ['start', 'completed'],
    });
  });
});

describe('an upload', () => {
  const file = { id: 'file_1' };

  it('is sent again when the service refused it, because nothing was stored', async () => {
    const { client } = serviceOf(problem(429, 'rate_limited'), Response.json(file, { status: 201 }));
    expect(await settled(client.files.upload(picture))).toEqual(file);
  });

  it('is not sent again after a lost answer, because it may have been stored', async () => {
    const { service, client } = serviceOf(new TypeError('fetch failed', { cause: new Error('ECONNRESET') }));
    const failure = settled(client.files.upload(picture));
    await expect(failure).rejects.toMatchObject({ code: 'connection_failed', status: undefined });
    await expect(failure).rejects.toThrow(`${server} did not answer (ECONNRESET)`);
    expect(service.requests).toHaveLength(1);
  });
});

it('a list follows cursors at the address of the service, whatever host its pages name', async () => {
  const { service, client } = serviceOf(
    Response.json({ next: 'https://elsewhere.test/v1/predictions?cursor=c2', results: [prediction({ id: 'a' })] }),
    Response.json({ next: null, results: [prediction({ id: 'b' })] }),
  );
  const ids: string[] = [];
  for await (const { id } of client.predictions.list()) ids.push(id);
  expect(ids).toEqual(['a', 'b']);
  expect(service.requests[1]!.url).toBe(`${server}/v1/predictions?cursor=c2`);
});

it('a page of a proxy in place of a problem document is an unexpected_response', async () => {
  const { client } = serviceOf(new Response('<html>', { status: 404 }));
  await expect(client.predictions.get('x')).rejects.toMatchObject({ code: 'unexpected_response', status: 404 });
});

it('an answer that does not begin in time is a failed connection', async () => {
  const silent = (request: Request): Promise<Response> =>
    new Promise((_, reject) => request.signal.addEventListener('abort', () => reject(request.signal.reason)));
  const service = new ServiceStandIn(silent);
  const client = new Deblur({ server, maxRetries: 0, requestTimeoutMs: 1_000, fetch: service.fetch });
  await expect(settled(client.predictions.get('x'))).rejects.toMatchObject({ code: 'connection_failed' });
});

it('a wait between two attempts ends at once with the reason of the signal', async () => {
  const { service, client } = serviceOf(problem(503, 'runner_busy', { 'retry-after': '50' }));
  const abort = new AbortController();
  const failure = client.predictions.create(picture, { signal: abort.signal });
  failure.catch(() => undefined);
  await vi.advanceTimersByTimeAsync(1_000);
  const reason = new Error('enough');
  abort.abort(reason);
  await expect(failure).rejects.toBe(reason);
  expect(service.requests).toHaveLength(1);
});

it('what is no address of a service, and what is no picture, is a TypeError', async () => {
  expect(() => new Deblur({ server: 'ftp://deblur.test' })).toThrow(TypeError);
  const { service, client } = serviceOf();
  await expect(client.deblur('photo.jpg')).rejects.toThrow('Read a file first');
  await expect(client.deblur(7 as never)).rejects.toThrow(TypeError);
  expect(service.requests).toEqual([]);
});

it('an error is an Error with a stack, a code and a message of both', () => {
  const error = new DeblurError('image_truncated', 'The picture ends early.');
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({ name: 'DeblurError', message: 'image_truncated: The picture ends early.' });
});
