/** The released client of Replicate against the service as `npm start` starts it: nothing of the client is replaced. */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { text } from 'node:stream/consumers';
import Replicate, { parseProgressFromLogs, validateWebhook, type Prediction } from 'replicate';
import sharp from 'sharp';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../scripts/lib/service.ts';
import { restoredBefore } from '../support/api.ts';
import { decodeRgb, fixture, mosaic, psnr } from '../support/images.ts';
import { startAsUser, type Started } from '../support/start.ts';

const MODEL = 'deblur/dhnet-edge';

let service: Started;
let replicate: Replicate;
let blurred: Buffer;
let hook: string;

beforeAll(async () => {
  hook = `http://127.0.0.1:${await freePort()}`;
  service = await startAsUser({ ALLOW_ORIGINS: hook });
  replicate = new Replicate({ auth: 'any', baseUrl: `${service.url}/v1` });
  blurred = await crop(0);
});

afterAll(async () => {
  expect(await service.interrupt()).toBe(0);
});

async function crop(left: number, file = 'reds/blur.png'): Promise<Buffer> {
  const window = { left, top: 160, width: 256, height: 192 };
  return sharp(await fixture(file))
    .extract(window)
    .png()
    .toBuffer();
}

const fileOf = (picture: Buffer, name = 'street.png'): File => new File([new Uint8Array(picture)], name);

async function bytesAt(address: unknown): Promise<Buffer> {
  const response = await fetch(String(address));
  expect(response.status).toBe(200);
  return Buffer.from(await response.arrayBuffer());
}

describe('run', () => {
  it('uploads a picture and brings it back sharper', async () => {
    const seen: string[] = [];
    const output = await replicate.run(MODEL, { input: { image: fileOf(blurred) } }, ({ status }) => seen.push(status));
    const restored = await bytesAt(output);
    expect(restored.equals(await restoredBefore(service.url, blurred))).toBe(true);
    const truth = await decodeRgb(await crop(0, 'reds/sharp.png'));
    expect(psnr(await decodeRgb(restored), truth)).toBeGreaterThan(psnr(await decodeRgb(blurred), truth));
    expect(seen.at(-1)).toBe('succeeded');
  });

  it('takes a version, a data: URI and a Buffer', async () => {
    const { latest_version: latest } = await replicate.models.get('deblur', 'dhnet-edge');
    const image = `data:image/png;base64,${blurred.toString('base64')}`;
    const byVersion = await replicate.run(`${MODEL}:${latest?.id ?? ''}`, { input: { image, format: 'webp' } });
    expect((await bytesAt(byVersion)).equals(await restoredBefore(service.url, blurred, '?format=webp'))).toBe(true);
    const ofBuffer = await replicate.run(MODEL, { input: { image: blurred, format: 'webp' }, wait: { mode: 'poll' } });
    expect(ofBuffer).toEqual(byVersion);
  });

  it('throws what failed, with its code', async () => {
    const noPicture = new File(['no picture'], 'street.png');
    await expect(replicate.run(MODEL, { input: { image: noPicture } })).rejects.toThrow('unsupported_media_type');
    await expect(replicate.run('deblur/dhnet', { input: { image: blurred } })).rejects.toThrow('model_unavailable');
  });
});

describe('predictions', () => {
  it('are created, watched, got and listed', async () => {
    // Runs in the runner, tile by tile.
    const picture = await sharp(await fixture('reds/blur.png'))
      .resize({ width: 1400 })
      .jpeg()
      .toBuffer();
    const { urls } = await replicate.files.create(fileOf(picture, 'large.jpg'), { of: 'a test' });
    const created = await replicate.predictions.create({ model: MODEL, input: { image: urls.get } });
    expect(created).toMatchObject({ status: 'starting', model: MODEL, input: { image: urls.get }, output: null });
    const shares: number[] = [];
    const ended = await replicate.wait(created, { interval: 50 }, async (prediction) => {
      shares.push(parseProgressFromLogs(prediction)?.percentage ?? 0);
      return false;
    });
    expect(ended).toMatchObject({ id: created.id, status: 'succeeded', metrics: { placement: 'runner' } });
    expect(shares.some((share) => share > 0)).toBe(true);
    expect((await bytesAt(ended.output)).equals(await restoredBefore(service.url, picture))).toBe(true);
    expect(await replicate.predictions.get(created.id)).toEqual(ended);
    expect((await replicate.predictions.list()).results[0]).toEqual(ended);
    const pages = [];
    for await (const page of replicate.paginate(replicate.predictions.list)) pages.push(...page);
    expect(pages.map(({ id }) => id)).toContain(created.id);
  });

  it('are cancelled while they are worked on, and stay so', async () => {
    const picture = await mosaic(await fixture('reds/blur.png'));
    const { id } = await replicate.predictions.create({ model: MODEL, input: { image: fileOf(picture) } });
    const { status } = await until(id, (prediction) => (parseProgressFromLogs(prediction)?.current ?? 0) > 0);
    expect(status).toBe('processing');
    const canceled = await replicate.predictions.cancel(id);
    expect(canceled).toMatchObject({ id, status: 'canceled', output: null });
    expect(await replicate.predictions.cancel(id)).toEqual(canceled);
    // Nobody works any more: the runner takes the next picture, and the canceled one does not come back.
    const next = { image: fileOf(await crop(512)), format: 'png' };
    expect((await replicate.predictions.create({ model: MODEL, input: next, wait: 60 })).status).toBe('succeeded');
    expect(await replicate.predictions.get(id)).toEqual(canceled);
  });

  it('are streamed until the end', async () => {
    const events: { event: string; data: string }[] = [];
    const input = { image: fileOf(await crop(768)) };
    for await (const event of replicate.stream(MODEL, { input })) events.push(event);
    const last = events.at(-1);
    expect(last?.event).toBe('completed');
    expect((JSON.parse(last?.data ?? '') as Prediction).status).toBe('succeeded');
  });
});

it('files are created, found and deleted', async () => {
  const file = await replicate.files.create(fileOf(blurred, 'my street.png'), { of: 'a test' });
  expect(file).toMatchObject({ name: 'my street.png', content_type: 'image/png', size: blurred.length });
  expect(await replicate.files.get(file.id)).toEqual(file);
  expect((await replicate.files.list()).results).toContainEqual(file);
  expect(await replicate.files.delete(file.id)).toBe(true);
  await expect(replicate.files.get(file.id)).rejects.toThrow('404');
});

it('a webhook comes once, and both libraries verify it', async () => {
  const received: { readonly headers: IncomingHttpHeaders; readonly body: string }[] = [];
  const server = createServer((request, response) => {
    text(request).then((body) => {
      received.push({ headers: request.headers, body });
      response.writeHead(204).end();
    });
  }).listen(Number(new URL(hook).port), '127.0.0.1');
  try {
    const image = fileOf(await crop(1024));
    const { id } = await replicate.predictions.create({ model: MODEL, input: { image }, webhook: `${hook}/hook` });
    await until(id, ({ status }) => status === 'succeeded');
    await expect.poll(() => received.length, { timeout: 30_000 }).toBe(1);
    const { headers, body } = received[0]!;
    const { key } = await replicate.webhooks.default.secret.get();
    const ended = await replicate.predictions.get(id);
    expect(new Webhook(key).verify(body, headers as Record<string, string>)).toEqual({
      ...ended,
      type: 'prediction.completed',
      timestamp: expect.any(String),
    });
    const request = { headers, body };
    expect(await validateWebhook(request as never, key)).toBe(true);
    expect(await validateWebhook({ ...request, body: body.replace(id, 'another') } as never, key)).toBe(false);
  } finally {
    server.close();
  }
});

/** A prediction, asked for until it is as it should be; the test's own time is the limit. */
async function until(id: string, isSo: (prediction: Prediction) => boolean): Promise<Prediction> {
  for (;;) {
    const prediction = await replicate.predictions.get(id);
    if (isSo(prediction)) return prediction;
    if (prediction.completed_at) throw new Error(`it ended: ${prediction.status} ${String(prediction.error)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
