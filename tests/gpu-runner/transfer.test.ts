/** Sources that are fetched and results that are uploaded, over real sockets. */
import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import sharp from 'sharp';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { HttpClient } from '../../gpu-runner/transfers/http-client.ts';
import { INLINE_HASH_MAX_BYTES, UPLOAD_ATTEMPTS } from '../../gpu-runner/limits.ts';
import { upload } from '../../gpu-runner/transfers/upload.ts';
import { fixture, gradientPng } from './support/images.ts';
import { startReceiver, type Receiver } from './support/receiver.ts';
import { startServer, type Answer, type RunningServer } from './support/runner.ts';

let allowed: Receiver;
let other: Receiver;
let server: RunningServer;
let picture: Buffer;

beforeAll(async () => {
  [allowed, other, picture] = await Promise.all([startReceiver(), startReceiver(), gradientPng(64, 48)]);
  server = await startServer({ ALLOW_ORIGINS: allowed.origin });
});
afterAll(async () => {
  await server.stop();
  await Promise.all([allowed.close(), other.close()]);
});
beforeEach(() => {
  allowed.uploads.length = 0;
  other.uploads.length = 0;
  allowed.nextAnswers.length = 0;
  allowed.sources.clear();
  allowed.sources.set('/a.png', picture);
  other.sources.set('/a.png', picture);
});

const predict = async (input: object): Promise<Answer['body']> =>
  (await server.call('POST', '/predictions', { input })).body;
const failure = async (image: string): Promise<string | null> => (await predict({ image })).error;
const redirect = (location: string) => (response: ServerResponse) => void response.writeHead(302, { location }).end();

it.each([0, INLINE_HASH_MAX_BYTES, INLINE_HASH_MAX_BYTES + 1])(
  'uploads a file of %i bytes with its digest',
  async (n) => {
    const http = new HttpClient({ allowOrigins: [allowed.origin] });
    const bytes = Uint8Array.from({ length: n }, (_, i) => (i * i) >> 3);
    await upload({ url: `${allowed.origin}/f`, bytes, mediaType: 'image/png' }, http, AbortSignal.timeout(10_000));
    await http.close();
    const [taken] = allowed.uploads;
    expect(taken?.bytes.equals(bytes)).toBe(true);
    const digest = createHash('sha256').update(bytes).digest('base64');
    expect(taken?.headers['content-digest']).toBe(`sha-256=:${digest}:`);
  },
);

it('answers who accepts pictures with the report of what was uploaded', async () => {
  const input = { image: `${allowed.origin}/a.png`, result_upload_url: `${allowed.origin}/result` };
  const { status, body } = await server.call('POST', '/predictions', { input }, { headers: { accept: 'image/*' } });
  expect([status, body.status]).toEqual([200, 'succeeded']);
});

it('fetches a source and uploads master and result with their digests', async () => {
  allowed.sources.set('/photo.png', await fixture('kodak/kodim23.png'));
  const { status, output, model, version } = await predict({
    image: `${allowed.origin}/photo.png`,
    format: 'webp',
    master_upload_url: `${allowed.origin}/master?signature=1`,
    result_upload_url: `${allowed.origin}/result?signature=2`,
  });
  expect(status).toBe('succeeded');
  expect(output).toEqual({
    model,
    model_version: version,
    report: expect.objectContaining({ width: 768, height: 512 }),
  });
  const master = allowed.uploads.find(({ path }) => path === '/master?signature=1')!;
  const result = allowed.uploads.find(({ path }) => path === '/result?signature=2')!;
  for (const { headers, bytes } of [master, result]) {
    const digest = createHash('sha256').update(bytes).digest('base64');
    expect(headers['content-digest']).toBe(`sha-256=:${digest}:`);
    expect(headers['content-length']).toBe(String(bytes.length));
  }
  expect(master.headers['content-type']).toBe('image/png');
  expect(result.headers['content-type']).toBe('image/webp');
  expect(await sharp(master.bytes).metadata()).toMatchObject({ format: 'png', width: 768, height: 512 });
  expect(await sharp(result.bytes).metadata()).toMatchObject({ format: 'webp', width: 768, height: 512 });
});

it('gives the same bytes every time', async () => {
  const input = { image: `${allowed.origin}/a.png`, result_upload_url: `${allowed.origin}/r`, format: 'jpeg' };
  await predict(input);
  await predict(input);
  expect(allowed.uploads[1]!.bytes.equals(allowed.uploads[0]!.bytes)).toBe(true);
});

it('encodes a master anew without the network', async () => {
  const { status, output, metrics, model } = await predict({
    operation: 'encode',
    image: `${allowed.origin}/a.png`,
    format: 'png',
    result_upload_url: `${allowed.origin}/r`,
  });
  expect(status).toBe('succeeded');
  expect(model).toBeNull();
  expect(metrics).toMatchObject({ tiles: 0, inferMs: 0 });
  expect(output).toEqual({ report: expect.objectContaining({ tiles: 0 }) });
  const pixels = async (file: Buffer): Promise<Buffer> => sharp(file).raw().toBuffer();
  expect((await pixels(allowed.uploads[0]!.bytes)).equals(await pixels(picture))).toBe(true);
});

it('refuses to make a master of an encoding', async () => {
  const urls = { image: `${allowed.origin}/a.png`, master_upload_url: `${allowed.origin}/m` };
  expect((await predict({ operation: 'encode', ...urls })).error).toMatch(/^invalid_option: master_upload_url/);
  expect(allowed.uploads).toHaveLength(0);
});

it('tries again when the receiver fails or hangs up', async () => {
  allowed.nextAnswers.push(503, 'destroy', 429);
  const { status } = await predict({ image: `${allowed.origin}/a.png`, result_upload_url: `${allowed.origin}/r` });
  expect(status).toBe('succeeded');
  expect(allowed.uploads).toHaveLength(4);
  expect(allowed.uploads[3]!.bytes.equals(allowed.uploads[0]!.bytes)).toBe(true);
});

it('meets a receiver again that was away for longer than a failing one is tried', async () => {
  allowed.nextAnswers.push(...new Array<'destroy'>(UPLOAD_ATTEMPTS).fill('destroy'));
  const { status } = await predict({ image: `${allowed.origin}/a.png`, result_upload_url: `${allowed.origin}/r` });
  expect(status).toBe('succeeded');
  expect(allowed.uploads).toHaveLength(UPLOAD_ATTEMPTS + 1);
});

it('gives up on a receiver that keeps failing, and at once on one that refuses', async () => {
  const input = { image: `${allowed.origin}/a.png`, result_upload_url: `${allowed.origin}/r` };
  allowed.nextAnswers.push(...new Array<number>(UPLOAD_ATTEMPTS).fill(500));
  expect((await predict(input)).error).toMatch(/^runner_failed: .*answered 500/);
  expect(allowed.uploads).toHaveLength(UPLOAD_ATTEMPTS);
  allowed.nextAnswers.push(403);
  expect((await predict(input)).error).toMatch(/^runner_failed: .*answered 403/);
  expect(allowed.uploads).toHaveLength(UPLOAD_ATTEMPTS + 1);
  allowed.nextAnswers.push(307);
  expect((await predict(input)).error).toMatch(/^runner_failed: .*answered 307/);
});

it('uploads nowhere but to allowed addresses', async () => {
  const image = `${allowed.origin}/a.png`;
  for (const upload of [{ result_upload_url: `${other.origin}/r` }, { master_upload_url: 'https://127.0.0.1/m' }]) {
    expect((await server.call('POST', '/predictions', { input: { image, ...upload } })).status).toBe(422);
  }
  expect(other.uploads).toHaveLength(0);
});

it('follows up to three redirects', async () => {
  const at = (path: string): string => `${allowed.origin}${path}`;
  allowed.sources.set('/1', redirect('/a.png'));
  allowed.sources.set('/2', redirect(at('/1')));
  allowed.sources.set('/3', redirect('/2'));
  allowed.sources.set('/4', redirect('/3'));
  expect((await predict({ image: at('/3') })).status).toBe('succeeded');
  expect(await failure(at('/4'))).toMatch(/^source_not_found: .*redirects/);
});

it.each([
  ['loopback', () => `${other.origin}/a.png`],
  ['an IP address', () => 'https://169.254.169.254/latest'],
  ['an internal name', () => 'https://metadata.google.internal/'],
  ['a file', () => 'file:///etc/passwd'],
])('follows no redirect to %s', async (_, location) => {
  allowed.sources.set('/away', redirect(location()));
  expect(await failure(`${allowed.origin}/away`)).toMatch(/^forbidden: /);
});

it.each([
  ['another loopback origin', () => `${other.origin}/a.png`],
  ['http', () => 'http://example.com/a.png'],
  ['an internal name', () => 'https://localhost.localdomain./a.png'],
])('fetches nothing from %s', async (_, url) => {
  expect(await failure(url())).toMatch(/^forbidden: /);
});

it('says what a source answered', async () => {
  expect(await failure(`${allowed.origin}/missing`)).toMatch(
    /^source_fetch_failed: The host of the source answered 404\./,
  );
  allowed.sources.set('/empty', Buffer.alloc(0));
  expect(await failure(`${allowed.origin}/empty`)).toMatch(/^unsupported_media_type: /);
  allowed.sources.set('/cut', (response) => {
    response.writeHead(200, { 'content-length': 1000 });
    response.write(picture.subarray(0, 100), () => response.destroy());
  });
  expect(await failure(`${allowed.origin}/cut`)).toMatch(/^source_fetch_failed: /);
});

it('stops reading a source that is too large, announced or not', async () => {
  allowed.sources.set('/announced', (response) => {
    response.writeHead(200, { 'content-length': 100_000_001 });
    response.write(picture);
  });
  expect(await failure(`${allowed.origin}/announced`)).toMatch(/^body_too_large: /);
  let sent = 0;
  allowed.sources.set('/endless', (response) => {
    const chunk = Buffer.alloc(1_000_000);
    const send = (): void => {
      if (response.destroyed) return;
      sent += chunk.length;
      response.write(chunk, send);
    };
    send();
  });
  expect(await failure(`${allowed.origin}/endless`)).toMatch(/^body_too_large: /);
  expect(sent).toBeLessThan(150_000_000);
});
