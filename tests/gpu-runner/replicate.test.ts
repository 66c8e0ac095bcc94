/** The released `replicate` client, as it is, against the real server. */
import Replicate from 'replicate';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { dataUri, gradientPng, outputFile } from './support/images.ts';
import { startServer, until, type RunningServer } from './support/runner.ts';

let server: RunningServer;
let client: Replicate;

beforeAll(async () => {
  server = await startServer({ RUNNER_TOKEN: 'secret' });
  client = new Replicate({ auth: 'secret', baseUrl: server.url, useFileOutput: false });
});
afterAll(async () => void (await server.stop()));

it('runs a model in block mode', async () => {
  const image = dataUri(await gradientPng(33, 17));
  const output = await client.run('deblur/dhnet-edge:v1', { input: { image, format: 'jpeg' } });
  expect(outputFile(output).subarray(0, 2)).toEqual(Buffer.of(0xff, 0xd8));
});

it('creates, gets and cancels', async () => {
  const input = { image: dataUri(await gradientPng(33, 17)) };
  const created = await client.predictions.create({ version: 'v1', input });
  expect(created).toMatchObject({ status: 'succeeded', error: null });
  expect(await client.predictions.get(created.id)).toMatchObject({ id: created.id, status: 'succeeded' });
  expect(await client.predictions.cancel(created.id)).toMatchObject({ id: created.id, status: 'succeeded' });
});

it('hears why a prediction failed', async () => {
  const input = { image: dataUri(Buffer.from('this is no picture')) };
  await expect(client.run('deblur/dhnet-edge:v1', { input })).rejects.toThrow(/unsupported_media_type: /);
});

it('cancels what runs', async () => {
  const input = { image: dataUri(await gradientPng(2000, 1500)) };
  const body = JSON.stringify({ input });
  const headers = { authorization: 'Bearer secret', prefer: 'respond-async' };
  await fetch(`${server.url}/predictions/long`, { method: 'PUT', body, headers });
  await until(async () => (await client.predictions.get('long')).status === 'processing');
  await client.predictions.cancel('long');
  expect(await client.wait(await client.predictions.get('long'), { interval: 20 })).toMatchObject({
    status: 'canceled',
  });
});

it('is told when the token is wrong', async () => {
  const stranger = new Replicate({ auth: 'wrong', baseUrl: server.url });
  await expect(stranger.predictions.get('x')).rejects.toThrow(/401/);
});
