/** Two runners behind one address, as a Kubernetes Service has them: whichever is asked, the one that knows answers. */
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dataUri, gradientPng } from './support/images.ts';
import { startServer, until, type Answer, type RunningServer } from './support/runner.ts';

const ADDRESSES = ['127.0.0.1', '127.0.0.2'] as const;
const AUTHORIZED = { authorization: 'Bearer token' };
const ASYNC = { headers: { prefer: 'respond-async', ...AUTHORIZED } };
let first: RunningServer;
let second: RunningServer;
let large: string;
let picture: Buffer;
let small: string;

beforeAll(async () => {
  const env = { PEERS: ADDRESSES.join(), RUNNER_TOKEN: 'token', SESSION_WORKERS: '1' };
  const PORT = await freePort();
  [first, second] = await Promise.all([
    startServer({ ...env, HOST: ADDRESSES[0], PORT }),
    startServer({ ...env, HOST: ADDRESSES[1], PORT }),
  ]);
  large = dataUri(await gradientPng(1400, 900));
  picture = await gradientPng(60, 50);
  small = dataUri(picture);
});
afterAll(async () => {
  await Promise.all([first.stop(), second.stop()]);
});

async function freePort(): Promise<string> {
  const server = createServer().listen(0, ADDRESSES[0]);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return String(port);
}

const call = (server: RunningServer, method: string, route: string, body?: unknown): Promise<Answer> =>
  server.call(method, `/predictions/${route}`, body, { headers: AUTHORIZED });

async function ended(server: RunningServer): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`, { headers: AUTHORIZED })).text();
  return [...text.matchAll(/^deblur_runner_predictions_total\{.*\} (\d+)$/gm)].reduce(
    (sum, [, n]) => sum + Number(n),
    0,
  );
}

describe('a prediction of one runner', () => {
  it('is found, begun only once, and cancelled through the other', async () => {
    const begun = await first.call('PUT', '/predictions/large', { input: { image: large } }, ASYNC);
    expect(begun.status).toBe(202);
    const { created_at: createdAt } = begun.body;
    expect((await call(second, 'GET', 'large')).body).toMatchObject({ id: 'large', created_at: createdAt });
    const again = await second.call('PUT', '/predictions/large', { input: { image: large } }, ASYNC);
    expect([again.status, again.body.created_at]).toEqual([202, createdAt]);
    expect((await second.health()).slots.busy).toBe(0);
    const asked = { headers: { 'x-request-id': 'asked-second', ...AUTHORIZED } };
    await second.call('GET', '/predictions/large', undefined, asked);
    await until(() => first.lines.some((line) => line['request_id'] === 'asked-second'));
    expect((await call(second, 'POST', 'large/cancel')).status).toBe(200);
    await until(async () => (await call(second, 'GET', 'large')).body.status === 'canceled');
    expect((await call(first, 'GET', 'large')).body.status).toBe('canceled');
  });

  it('answers the same PUT with what it made, form or JSON, picture or JSON', async () => {
    const form = (): FormData => {
      const fields = new FormData();
      fields.append('image', new Blob([new Uint8Array(picture)]));
      fields.append('format', 'png');
      return fields;
    };
    const put = async ({ url }: RunningServer): Promise<Response> =>
      fetch(`${url}/predictions/form`, {
        method: 'PUT',
        body: form(),
        headers: { accept: 'image/png', ...AUTHORIZED },
      });
    const made = await put(first);
    const before = await Promise.all([first, second].map(ended));
    const found = await put(second);
    expect([found.status, found.headers.get('content-type'), found.headers.get('x-prediction-id')]).toEqual([
      200,
      'image/png',
      'form',
    ]);
    expect(Buffer.from(await found.arrayBuffer()).equals(Buffer.from(await made.arrayBuffer()))).toBe(true);
    expect(await Promise.all([first, second].map(ended))).toEqual(before);

    const asJson = { input: { image: small, format: 'jpeg' } };
    const { body } = await call(first, 'PUT', 'json', asJson);
    expect((await call(second, 'PUT', 'json', asJson)).body).toEqual(body);
  });

  it('is nobody else’s: others are made where they are asked for, and unknown ones are 404', async () => {
    const before = await ended(second);
    expect((await call(second, 'PUT', 'own', { input: { image: small } })).body.status).toBe('succeeded');
    expect(await ended(second)).toBe(before + 1);
    expect((await call(first, 'GET', 'own')).body.status).toBe('succeeded');
    for (const server of [first, second]) {
      expect((await call(server, 'GET', 'nobody')).status).toBe(404);
      expect((await call(server, 'POST', 'nobody/cancel')).status).toBe(404);
    }
  });

  it('is not told to who has no token, and a request that says it comes from a peer is not passed on', async () => {
    expect((await second.call('GET', '/predictions/own')).status).toBe(401);
    const headers = { 'x-deblur-peer': 'GET', ...AUTHORIZED };
    expect((await first.call('GET', '/predictions/own', undefined, { headers })).status).toBe(404);
  });
});

describe('a runner that stops', () => {
  it('is asked for what it made, but begins nothing; without it nobody can say that there is no such prediction', async () => {
    await first.call('PUT', '/predictions/long', { input: { image: large } }, ASYNC);
    expect((await call(first, 'PUT', 'made', { input: { image: small } })).body.status).toBe('succeeded');
    const stopped = first.stop();
    await until(async () => (await fetch(`${first.url}/v2/health/ready`)).status === 503);
    expect((await call(second, 'GET', 'made')).body.status).toBe('succeeded');
    const before = await ended(second);
    expect((await call(second, 'PUT', 'made', { input: { image: small, format: 'webp' } })).body.status).toBe(
      'succeeded',
    );
    expect(await ended(second)).toBe(before + 1);

    await call(second, 'POST', 'long/cancel');
    await stopped;
    const unsure = await call(second, 'GET', 'nobody');
    expect([unsure.status, Number(unsure.headers.get('retry-after'))]).toEqual([503, expect.any(Number)]);
    expect((await call(second, 'PUT', 'alone', { input: { image: small } })).body.status).toBe('succeeded');
    expect((await call(second, 'GET', 'alone')).status).toBe(200);
  });
});
