/** Cog's HTTP contract, against the real server with the real model. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApp } from '../../gpu-runner/app.ts';
import { readConfig } from '../../gpu-runner/config.ts';
import { HttpClient } from '../../gpu-runner/transfers/http-client.ts';
import { RunnerService } from '../../gpu-runner/predictions/runner-service.ts';
import { dataUri, gradientPng, outputFile } from './support/images.ts';
import { startServer, until, type RunningServer } from './support/runner.ts';
import sharp from 'sharp';

const ASYNC = { headers: { prefer: 'respond-async' } };
/** Enough tiles for a test to come in between them. */
let large: string;
let small: string;

beforeAll(async () => {
  large = dataUri(await gradientPng(2000, 1500));
  small = dataUri(await gradientPng(40, 30));
});

describe('with two slots', () => {
  let server: RunningServer;
  beforeAll(async () => void (server = await startServer()));
  afterAll(async () => expect(await server.stop()).toBe(0));

  const isOver = async (id: string): Promise<boolean> =>
    (await server.call('GET', `/predictions/${id}`)).body.completed_at !== null;
  const hasTiles = async (id: string): Promise<boolean> =>
    ((await server.call('GET', `/predictions/${id}`)).body.progress?.done ?? 0) > 0;

  it('says on which execution provider it runs, and why', async () => {
    const ready = server.lines.find(({ event }) => event === 'ready');
    expect(ready?.['execution_provider']).toMatchObject({ requested: 'auto', reason: expect.stringMatching(/\w/) });
    expect((await server.health()).setup).toMatchObject({
      status: 'succeeded',
      execution_provider: ready?.['execution_provider'],
      models: [{ name: 'dhnet-edge', version: expect.stringMatching(/^[0-9a-f]{64}$/) }],
    });
  });

  it('answers a synchronous prediction when it is over', async () => {
    const { status, body } = await server.call('POST', '/predictions', { input: { image: small, format: 'png' } });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      status: 'succeeded',
      error: null,
      model: 'dhnet-edge',
      progress: { done: 1, total: 1 },
    });
    expect(body.metrics).toMatchObject({ tiles: 1, width: 40, height: 30 });
    expect(body.metrics.predict_time).toBeGreaterThan(0);
    expect(await sharp(outputFile(body.output)).metadata()).toMatchObject({ format: 'png', width: 40, height: 30 });
    const again = await server.call('GET', `/predictions/${body.id}`);
    expect(again.body).toEqual(body);
  });

  it('creates by PUT once: 202 while it runs, the same answer when it is over', async () => {
    const input = { image: large, format: 'jpeg' };
    const first = server.call('PUT', '/predictions/once', { id: 'once', input });
    await until(() => hasTiles('once'));
    const meanwhile = await server.call('PUT', '/predictions/once', { input });
    expect(meanwhile.status).toBe(202);
    expect(meanwhile.body).toMatchObject({ id: 'once', status: 'processing', completed_at: null });
    const { status, body } = await first;
    expect(status).toBe(200);
    expect(body).toMatchObject({ id: 'once', status: 'succeeded' });
    const afterwards = await server.call('PUT', '/predictions/once', { input });
    expect(afterwards.status).toBe(200);
    expect(afterwards.body).toEqual(body);
    const anew = await server.call('PUT', '/predictions/once', { input: { image: small } });
    expect(anew.body).toMatchObject({ id: 'once', status: 'succeeded', metrics: { tiles: 1 } });
    expect(anew.body.created_at).not.toBe(body.created_at);
  });

  it('goes on after PUT when the client goes away', async () => {
    const client = new AbortController();
    const request = server.call('PUT', '/predictions/left', { input: { image: large } }, { signal: client.signal });
    await until(() => hasTiles('left'));
    client.abort();
    await expect(request).rejects.toThrow();
    await until(() => isOver('left'));
    expect((await server.call('PUT', '/predictions/left', { input: { image: large } })).body.status).toBe('succeeded');
  });

  it('cancels a synchronous prediction when its client goes away', async () => {
    const client = new AbortController();
    const body = { id: 'gone', input: { image: large } };
    const request = server.call('POST', '/predictions', body, { signal: client.signal });
    await until(() => hasTiles('gone'));
    client.abort();
    await expect(request).rejects.toThrow();
    await until(() => isOver('gone'));
    expect((await server.call('GET', '/predictions/gone')).body.status).toBe('canceled');
    await until(async () => (await server.health()).slots.busy === 0);
  });

  it('cancels between tiles', async () => {
    expect((await server.call('PUT', '/predictions/cancel-me', { input: { image: large } }, ASYNC)).status).toBe(202);
    await until(() => hasTiles('cancel-me'));
    expect((await server.call('POST', '/predictions/cancel-me/cancel')).status).toBe(200);
    await until(() => isOver('cancel-me'));
    const { body } = await server.call('GET', '/predictions/cancel-me');
    expect(body).toMatchObject({ status: 'canceled', output: null, error: null });
    expect(body.progress!.done).toBeLessThan(body.progress!.total);
    const again = await server.call('POST', '/predictions/cancel-me/cancel');
    expect(again.body).toEqual(body);
    await until(async () => (await server.health()).status === 'READY');
  });

  it('answers health checks while tiles run', async () => {
    await server.call('PUT', '/predictions/busy', { input: { image: large } }, ASYNC);
    await until(() => hasTiles('busy'));
    for (let i = 0; i < 5; i++) {
      const response = await fetch(`${server.url}/health-check`);
      expect(response.status).toBe(200);
      expect(await response.json()).toMatchObject({ status: 'READY', slots: { total: 2, busy: 1 } });
    }
    expect((await server.call('GET', '/predictions/busy')).body.status).toBe('processing');
    await server.call('POST', '/predictions/busy/cancel');
  });

  it('knows nothing of other ids', async () => {
    expect((await server.call('GET', '/predictions/unknown')).status).toBe(404);
    expect((await server.call('POST', '/predictions/unknown/cancel')).status).toBe(404);
    expect((await server.call('GET', '/elsewhere')).status).toBe(404);
  });

  it.each([
    ['no JSON', '{', ['body']],
    ['no input', {}, ['body', 'input']],
    ['no image', { input: {} }, ['body', 'input', 'image']],
    ['an unknown input', { input: { image: 'data:,', scale: 2 } }, ['body', 'input', 'scale']],
    ['an impossible quality', { input: { image: 'data:,', quality: 0 } }, ['body', 'input', 'quality']],
    ['a malformed model', { input: { image: 'data:,', model: 'An Other' } }, ['body', 'input', 'model']],
    ['a tile off the grid', { input: { image: 'data:,', tile: 130 } }, ['body', 'input', 'tile']],
    ['a malformed id', { id: '../x', input: { image: 'data:,' } }, ['body', 'id']],
    ['a webhook that is no URL', { input: { image: 'data:,' }, webhook: 'there' }, ['body', 'webhook']],
    ['a webhook on loopback', { input: { image: 'data:,' }, webhook: 'https://127.0.0.1/hook' }, ['body', 'webhook']],
    [
      'an unknown webhook event',
      { input: { image: 'data:,' }, webhook_events_filter: ['end'] },
      ['body', 'webhook_events_filter', '0'],
    ],
  ])('answers 422 to %s', async (_, body, loc) => {
    const answer = await server.call('POST', '/predictions', body);
    expect(answer.status).toBe(422);
    expect(answer.body.detail).toEqual([{ loc, msg: expect.any(String), type: expect.any(String) }]);
  });

  it('answers a thousand unknown inputs briefly', async () => {
    const unknown = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`${i}`.padStart(500, 'k'), 1]));
    const answer = await server.call('POST', '/predictions', { input: { image: 'data:,', ...unknown } });
    expect(answer.status).toBe(422);
    expect(JSON.stringify(answer.body).length).toBeLessThan(4096);
  });

  it('answers 422 to two ids, and to a second POST of one', async () => {
    const input = { image: small };
    expect((await server.call('PUT', '/predictions/a', { id: 'b', input })).status).toBe(422);
    expect((await server.call('PUT', '/predictions/a%20b', { input })).status).toBe(422);
    expect((await server.call('POST', '/predictions', { id: 'twice', input })).status).toBe(200);
    expect((await server.call('POST', '/predictions', { id: 'twice', input })).status).toBe(422);
  });

  it('answers 413 to more than a JSON body may have', async () => {
    const image = dataUri(new Uint8Array(6_100_000));
    expect((await server.call('POST', '/predictions', { input: { image } })).status).toBe(413);
    expect((await server.health()).status).toBe('READY');
  });

  it.each([
    ['a model without trained weights', { model: 'dhnet' }, 'model_unavailable'],
    ['a model that it does not have', { model: 'other' }, 'model_unavailable'],
    ['another version', { model: 'dhnet-edge', model_version: '0'.repeat(64) }, 'model_unavailable'],
  ])('fails a prediction with %s', async (_, options, code) => {
    const { status, body } = await server.call('POST', '/predictions', { input: { image: small, ...options } });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      status: 'failed',
      output: null,
      error: expect.stringMatching(new RegExp(`^${code}: `)),
    });
  });
});

it('answers 409 at capacity, and serves again afterwards', async () => {
  const server = await startServer({ SLOTS: '1' });
  await server.call('PUT', '/predictions/first', { input: { image: large } }, ASYNC);
  const second = await server.call('PUT', '/predictions/second', { input: { image: small } });
  expect(second.status).toBe(409);
  expect(second.headers.get('retry-after')).toBe('1');
  expect(second.body).toEqual({ error: expect.any(String), status: 'failed' });
  expect((await server.health()).status).toBe('BUSY');
  await server.call('POST', '/predictions/first/cancel');
  await until(async () => (await server.health()).status === 'READY');
  expect((await server.call('PUT', '/predictions/second', { input: { image: small } })).body.status).toBe('succeeded');
  await server.stop();
});

it('answers 503 while it starts', async () => {
  const config = readConfig({});
  const log = { info: () => undefined, error: () => undefined };
  const app = createApp({ runner: new RunnerService(config, new HttpClient(config), log), token: undefined, log });
  const body = JSON.stringify({ input: { image: small } });
  const response = await app.request('/predictions', { method: 'POST', body });
  expect(response.status).toBe(503);
  expect(await response.json()).toMatchObject({ status: 'failed' });
  const health = await app.request('/health-check');
  expect(health.status).toBe(200);
  expect(await health.json()).toMatchObject({ status: 'STARTING', setup: { status: 'starting' } });
});

describe('with a token', () => {
  let server: RunningServer;
  beforeAll(async () => void (server = await startServer({ RUNNER_TOKEN: 'the-token' })));
  afterAll(async () => void (await server.stop()));

  const statusWith = async (authorization?: string): Promise<number> =>
    (await server.call('GET', '/predictions/x', undefined, authorization ? { headers: { authorization } } : {})).status;

  it('lets in who has it, as Bearer or Token', async () => {
    expect(await statusWith('Bearer the-token')).toBe(404);
    expect(await statusWith('Token the-token')).toBe(404);
  });

  it('keeps everybody else out, and tells everybody its health', async () => {
    expect(await statusWith()).toBe(401);
    expect(await statusWith('Bearer other')).toBe(401);
    expect(await statusWith('Bearer the-token2')).toBe(401);
    expect(await statusWith('Basic the-token')).toBe(401);
    expect((await server.health()).status).toBe('READY');
  });
});

describe('stopping', () => {
  it('finishes what runs and ends with 0', async () => {
    const server = await startServer({ DRAIN_SECONDS: '100' });
    const request = server.call('PUT', '/predictions/last', { input: { image: large } });
    await until(async () => (await server.health()).slots.busy === 1);
    const exit = server.stop('SIGINT');
    expect((await request).body.status).toBe('succeeded');
    expect(await exit).toBe(0);
    await expect(fetch(`${server.url}/health-check`)).rejects.toThrow();
  });

  it('is asked, cancelled and probed until what runs has ended, and takes nothing new', async () => {
    const server = await startServer({ DRAIN_SECONDS: '100', SLOTS: '2' });
    await server.call('PUT', '/predictions/last', { input: { image: large } }, ASYNC);
    const exit = server.stop();
    await until(async () => (await fetch(`${server.url}/v2/health/ready`)).status === 503);
    expect((await server.call('GET', '/predictions/last')).body.status).toBe('processing');
    const refused = await server.call('PUT', '/predictions/more', { input: { image: small } });
    expect([refused.status, refused.body]).toEqual([503, expect.objectContaining({ status: 'failed' })]);
    await server.call('POST', '/predictions/last/cancel');
    expect(await exit).toBe(0);
  });

  it('fails what does not end in time, so that its caller tries it elsewhere', async () => {
    const server = await startServer({ DRAIN_SECONDS: '0' });
    const request = server.call('PUT', '/predictions/last', { input: { image: large } });
    await until(async () => (await server.health()).slots.busy === 1);
    const exit = server.stop();
    expect((await request).body).toMatchObject({
      status: 'failed',
      error: expect.stringMatching(/^runner_unavailable: /),
      output: null,
    });
    expect(await exit).toBe(0);
  });
});
