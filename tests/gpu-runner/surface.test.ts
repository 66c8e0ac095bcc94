/** The runner's other faces: discovery, probes, forms in, pictures out, metrics, a process that dies. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApp } from '../../gpu-runner/app.ts';
import { readConfig } from '../../gpu-runner/config.ts';
import { HttpClient } from '../../gpu-runner/transfers/http-client.ts';
import { RunnerService } from '../../gpu-runner/predictions/runner-service.ts';
import { dataUri, gradientPng, outputFile } from './support/images.ts';
import { startReceiver } from './support/receiver.ts';
import { startServer, until, type RunningServer } from './support/runner.ts';

const root = path.resolve(import.meta.dirname, '../..');
const ASYNC = { headers: { prefer: 'respond-async' } };
let server: RunningServer;
let picture: Buffer;

beforeAll(async () => {
  [server, picture] = await Promise.all([startServer({ RUNNER_TOKEN: 'token' }), gradientPng(50, 40)]);
});
afterAll(async () => void (await server.stop()));

const authorized = { authorization: 'Bearer token' };

async function json(path: string): Promise<Record<string, unknown>> {
  return (await (await fetch(server.url + path)).json()) as Record<string, unknown>;
}

function postForm(fields: Readonly<Record<string, string | Blob>>, accept = 'image/*'): Promise<Response> {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.append(name, value);
  const headers = { accept, ...authorized };
  return fetch(`${server.url}/predictions`, { method: 'POST', body, headers });
}

const file = (bytes: Uint8Array): Blob => new Blob([new Uint8Array(bytes)]);

describe('discovery', () => {
  it('names routes that are there', async () => {
    const index = (await json('/')) as Record<string, string>;
    expect(index).toMatchObject({ predictions_url: '/predictions', healthcheck_url: '/health-check' });
    for (const route of ['openapi_url', 'healthcheck_url', 'liveness_url', 'readiness_url']) {
      expect((await fetch(server.url + index[route])).status).toBe(200);
    }
  });

  it('describes itself, with Input and Output where Cog has them', async () => {
    const document = await json('/openapi.json');
    const text = JSON.stringify(document);
    const { schemas } = document['components'] as {
      schemas: Record<string, { properties?: object; required?: string[] }>;
    };
    expect(schemas['Input']).toMatchObject({ type: 'object', required: ['image'], additionalProperties: false });
    expect(Object.keys(schemas['Input']!.properties ?? {})).toEqual(
      expect.arrayContaining(['image', 'format', 'tile']),
    );
    expect(schemas['Output']).toBeDefined();
    const view = (
      await server.call('POST', '/predictions', { input: { image: dataUri(picture) } }, { headers: authorized })
    ).body;
    expect(Object.keys(schemas['PredictionResponse']!.properties ?? {}).sort()).toEqual(Object.keys(view).sort());
    const references = [...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name!);
    expect(references.length).toBeGreaterThan(3);
    for (const name of references) expect(schemas).toHaveProperty(name);
  });
});

describe('probes', () => {
  it('says live and ready when it serves', async () => {
    expect(await json('/v2/health/live')).toEqual({ live: true });
    expect(await json('/v2/health/ready')).toEqual({ ready: true });
  });

  it('is live and not ready while it starts, and after its setup failed', async () => {
    const config = readConfig({ MODEL_DIR: '/nowhere' });
    const log = { info: () => undefined, error: () => undefined };
    const runner = new RunnerService(config, new HttpClient(config), log);
    const app = createApp({ runner, token: 'token', log });
    const status = async (path: string): Promise<number> => (await app.request(path)).status;
    expect(await status('/v2/health/live')).toBe(200);
    expect(await status('/v2/health/ready')).toBe(503);
    await runner.setup();
    expect(await status('/v2/health/live')).toBe(200);
    expect(await status('/v2/health/ready')).toBe(503);
  });
});

describe('forms and pictures', () => {
  it('takes a file and gives the picture back', async () => {
    const response = await postForm({ image: file(picture), format: 'webp', quality: '80' });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('image/webp');
    expect(response.headers.get('x-model')).toBe('dhnet-edge');
    const bytes = Buffer.from(await response.arrayBuffer());
    expect(await sharp(bytes).metadata()).toMatchObject({ format: 'webp', width: 50, height: 40 });
    const id = response.headers.get('x-prediction-id');
    const view = (await server.call('GET', `/predictions/${id}`, undefined, { headers: authorized })).body;
    expect(outputFile(view.output).equals(bytes)).toBe(true);
    expect(view.input).toEqual({
      operation: 'restore',
      image: expect.stringMatching(/^sha256:/),
      format: 'webp',
      quality: 80,
    });
  });

  it('writes the format that is accepted by name', async () => {
    const response = await postForm({ image: file(picture) }, 'image/jpeg');
    expect(response.headers.get('content-type')).toBe('image/jpeg');
    const asked = await postForm({ image: file(picture) }, 'application/json, image/jpeg;q=0.5');
    expect(asked.headers.get('content-type')).toMatch(/^application\/json/);
    expect(await asked.json()).toMatchObject({
      status: 'succeeded',
      output: expect.stringMatching(/^data:image\/png/),
    });
  });

  it('takes bodies whose length is not told', async () => {
    const fields = new FormData();
    fields.append('image', file(picture));
    fields.append('format', 'jpeg');
    const form = new Response(fields);
    const bodies = [
      [form.headers.get('content-type')!, form.body!],
      ['application/json', new Blob([JSON.stringify({ input: { image: dataUri(picture), format: 'jpeg' } })]).stream()],
    ] as const;
    for (const [type, body] of bodies) {
      const headers = { 'content-type': type, accept: 'image/*', ...authorized };
      const init = { method: 'POST', headers, body, duplex: 'half' } as RequestInit;
      const response = await fetch(`${server.url}/predictions`, init);
      expect([response.status, response.headers.get('content-type')]).toEqual([200, 'image/jpeg']);
      await response.arrayBuffer();
    }
  });

  it('answers a failure with its status where a picture was asked for', async () => {
    const response = await postForm({ image: file(Buffer.from('no picture')) });
    expect(response.status).toBe(415);
    expect(await response.json()).toMatchObject({ error: expect.stringMatching(/^unsupported_media_type: /) });
  });

  it.each([
    ['no image', { format: 'png' }, 'image'],
    ['an unknown field', { image: file(Buffer.of(1)), scale: '2' }, 'scale'],
    ['a quality in words', { image: file(Buffer.of(1)), quality: 'high' }, 'quality'],
  ])('answers 422 to a form with %s', async (_, fields, name) => {
    const response = await postForm(fields);
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({ detail: [{ loc: ['body', 'input', name] }] });
  });

  it('answers 422 to what is not a form', async () => {
    const headers = { 'content-type': 'multipart/form-data; boundary=x', ...authorized };
    const response = await fetch(`${server.url}/predictions`, { method: 'POST', body: 'nothing', headers });
    expect(response.status).toBe(422);
  });
});

describe('metrics', () => {
  const scrape = async (): Promise<string> => (await fetch(`${server.url}/metrics`, { headers: authorized })).text();
  const value = (text: string, series: string): number =>
    Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${series} `))
        ?.split(' ')[1] ?? 0,
    );

  it('counts predictions, errors, tiles and spans', async () => {
    const before = await scrape();
    const input = { image: dataUri(await gradientPng(400, 200)) };
    await server.call('POST', '/predictions', { input }, { headers: authorized });
    await server.call('POST', '/predictions', { input: { image: dataUri(Buffer.from('x')) } }, { headers: authorized });
    const after = await scrape();
    const growth = (series: string): number => value(after, series) - value(before, series);
    expect(growth('deblur_runner_predictions_total{status="succeeded"}')).toBe(1);
    expect(growth('deblur_runner_predictions_total{status="failed"}')).toBe(1);
    expect(growth('deblur_runner_prediction_errors_total{code="unsupported_media_type"}')).toBe(1);
    expect(growth('deblur_runner_pixels_total')).toBe(80_000);
    expect(growth('deblur_runner_tiles_total{model="dhnet-edge"}')).toBe(6);
    expect(growth('deblur_runner_batch_size_sum{model="dhnet-edge"}')).toBe(6);
    for (const span of ['queue', 'decode', 'infer', 'encode']) {
      expect(growth(`deblur_runner_span_seconds_count{span="${span}"}`)).toBe(1);
    }
    expect(growth('deblur_runner_span_seconds_sum{span="infer"}')).toBeGreaterThan(0);
    expect(growth('deblur_runner_http_requests_total{method="POST",route="/predictions",status="200"}')).toBe(2);
    expect(value(after, 'deblur_runner_slots')).toBe(2);
    const { requested, used } = (await server.health()).setup.execution_provider!;
    const series = `deblur_runner_execution_provider_info{requested="${requested}",used="${used}"}`;
    expect(value(after, series)).toBe(1);
    expect(value(after, 'deblur_runner_pending')).toBe(0);
    expect(value(after, 'deblur_runner_session_bytes{model="dhnet-edge.uint8"}')).toBeGreaterThan(1_000_000);
    expect(value(after, 'process_resident_memory_bytes')).toBeGreaterThan(1_000_000);
  });

  it('tells every figure that manifests and documents scale on or look at', async () => {
    const shown = new Set(
      [...(await scrape()).matchAll(/^(deblur_runner_\w+)(?:\{.*\})? [\d.]+$/gm)].map(([, name]) => name),
    );
    const deploy = readdirSync(path.join(root, 'gpu-runner/deploy'), { recursive: true, encoding: 'utf8' });
    const files = deploy.filter((file) => file.endsWith('.yaml')).map((file) => `gpu-runner/deploy/${file}`);
    const texts = [...files, 'gpu-runner/compose.yaml', 'docs/deploy.md'].map((file) =>
      readFileSync(path.join(root, file), 'utf8'),
    );
    const named = new Set(texts.join('\n').match(/deblur_runner_\w+/g));
    expect([...named]).toContain('deblur_runner_pending');
    expect([...named].filter((name) => !shown.has(name))).toEqual([]);
  });

  it('keeps paths with ids out of its labels, and strangers out of itself', async () => {
    await server.call('GET', '/predictions/some-id', undefined, { headers: authorized });
    await fetch(`${server.url}/some-path`, { headers: authorized });
    const text = await scrape();
    expect(text).toContain('route="/predictions/:id"');
    expect(text).not.toMatch(/some-(id|path)/);
    expect((await fetch(`${server.url}/metrics`)).status).toBe(401);
  });
});

it('runs no tile after a cancellation but those that sessions already have', async () => {
  const own = await startServer({ SESSION_WORKERS: '1' });
  const input = { image: dataUri(await gradientPng(1500, 1100)) };
  await own.call('PUT', '/predictions/cancelled', { input }, ASYNC);
  await until(async () => ((await own.call('GET', '/predictions/cancelled')).body.progress?.done ?? 0) > 0);
  const { done, total } = (await own.call('POST', '/predictions/cancelled/cancel')).body.progress!;
  await until(async () => (await own.health()).slots.busy === 0);
  expect((await own.call('GET', '/predictions/cancelled')).body.status).toBe('canceled');
  const text = await (await fetch(`${own.url}/metrics`)).text();
  const ran = Number(/^deblur_runner_tiles_total\{.*\} (\d+)$/m.exec(text)?.[1]);
  // The one in the network ends. The one at its door does not begin, unless it just did and its predecessor was on its way.
  expect(ran - done).toBeLessThanOrEqual(2);
  expect(total).toBeGreaterThan(50);
  expect(ran).toBeLessThan(total / 2);
  await own.stop();
});

it('fails what is not done in time, and is free again', async () => {
  const own = await startServer({ TIMEOUT_SECONDS: '1' });
  const { body } = await own.call('POST', '/predictions', { input: { image: dataUri(await gradientPng(4000, 3000)) } });
  expect(body).toMatchObject({ status: 'failed', error: expect.stringMatching(/^deadline_exceeded: .* 1 second\./) });
  await until(async () => (await own.health()).slots.busy === 0);
  await own.stop();
});

it('does a prediction again whose process was killed in the middle, once', async () => {
  const receiver = await startReceiver();
  receiver.sources.set('/a.png', await gradientPng(900, 700));
  const input = {
    image: `${receiver.origin}/a.png`,
    master_upload_url: `${receiver.origin}/master`,
    result_upload_url: `${receiver.origin}/result`,
    format: 'jpeg',
  };
  const body = { id: 'killed', input, webhook: `${receiver.origin}/hook`, webhook_events_filter: ['completed'] };
  const env = { ALLOW_ORIGINS: receiver.origin };
  const first = await startServer(env);
  await first.call('PUT', '/predictions/killed', body, ASYNC);
  await until(async () => ((await first.call('GET', '/predictions/killed')).body.progress?.done ?? 0) > 0);
  await first.stop('SIGKILL');
  expect(receiver.uploads).toEqual([]);

  const second = await startServer(env);
  expect((await second.call('GET', '/predictions/killed')).status).toBe(404);
  expect((await second.call('PUT', '/predictions/killed', body, ASYNC)).status).toBe(202);
  expect((await second.call('PUT', '/predictions/killed', body)).status).toBe(202);
  await until(() => receiver.uploads.some(({ path }) => path === '/hook'));
  expect((await second.call('PUT', '/predictions/killed', body)).body.status).toBe('succeeded');
  expect(await second.stop()).toBe(0);
  expect(receiver.uploads.map(({ path }) => path).sort()).toEqual(['/hook', '/master', '/result']);
  await receiver.close();
});
