/** Files in parts, over real sockets. */
import { setTimeout as sleep } from 'node:timers/promises';
import { UPLOAD_PART_MIN_BYTES } from '@deblur/shared/limits.ts';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { HttpClient } from '../../gpu-runner/transfers/http-client.ts';
import { UPLOAD_ATTEMPTS, UPLOAD_PARTS_AT_ONCE } from '../../gpu-runner/limits.ts';
import { upload } from '../../gpu-runner/transfers/upload.ts';
import { startPartsReceiver, type PartsReceiver } from './support/parts-receiver.ts';
import { startServer } from './support/runner.ts';

const PART = 1000;

let receiver: PartsReceiver;
let http: HttpClient;

beforeEach(async () => {
  receiver = await startPartsReceiver();
  http = new HttpClient({ allowOrigins: [receiver.origin] });
});
afterEach(async () => {
  await http.close();
  await receiver.close();
});

const bytesOf = (size: number): Uint8Array => Uint8Array.from({ length: size }, (_, i) => (i * i) >> 5);

const send = (bytes: Uint8Array, signal = AbortSignal.timeout(30_000), partBytes: number | undefined = PART) =>
  upload({ url: receiver.url, bytes, mediaType: 'image/png', partBytes }, http, signal);

describe('a file', () => {
  it.each([PART + 1, 2 * PART - 1, 2 * PART, 2 * PART + 1, 5 * PART, 5 * PART + 7])(
    'of %i bytes arrives whole in parts of 1000',
    async (size) => {
      await send(bytesOf(size));
      expect(receiver.files).toEqual([{ bytes: Buffer.from(bytesOf(size)), mediaType: 'image/png' }]);
      const parts = Array.from({ length: Math.ceil(size / PART) }, (_, i) => `part ${i + 1}`);
      expect(receiver.requests.toSorted()).toEqual(['begin', 'complete', ...parts].toSorted());
      expect([receiver.requests[0], receiver.requests.at(-1)]).toEqual(['begin', 'complete']);
    },
  );

  it.each([0, 1, PART - 1, PART])('of %i bytes is one PUT', async (size) => {
    await send(bytesOf(size));
    expect(receiver.requests).toEqual(['put']);
    expect(receiver.files[0]?.bytes.equals(bytesOf(size))).toBe(true);
  });

  it('is one PUT whatever its size where no parts are announced', async () => {
    await upload(
      { url: receiver.url, bytes: bytesOf(5000), mediaType: 'image/png' },
      http,
      AbortSignal.timeout(30_000),
    );
    expect(receiver.requests).toEqual(['put']);
  });

  it('goes two parts at a time, none of them a copy', async () => {
    const request = vi.spyOn(http, 'request');
    const bytes = bytesOf(8 * PART);
    await send(bytes);
    expect(receiver.mostAtOnce()).toBe(UPLOAD_PARTS_AT_ONCE);
    const bodies = request.mock.calls.map(([, { body }]) => body).filter((body) => body instanceof Uint8Array);
    expect(bodies).toHaveLength(8);
    for (const { buffer } of bodies) expect(buffer).toBe(bytes.buffer);
  });
});

describe('a failure', () => {
  it('of one request repeats this one alone', async () => {
    receiver.mishaps.set('begin', [503]).set('part 2', [500, 'destroy', 429]).set('complete', ['destroy']);
    await send(bytesOf(3 * PART));
    const count = (name: string): number => receiver.requests.filter((request) => request === name).length;
    expect(['begin', 'part 1', 'part 2', 'part 3', 'complete', 'abort'].map(count)).toEqual([2, 1, 4, 1, 2, 0]);
    expect(receiver.files[0]?.bytes.equals(bytesOf(3 * PART))).toBe(true);
  });

  it.each([
    ['is refused', [413], '413'],
    ['keeps failing', new Array<number>(UPLOAD_ATTEMPTS).fill(500), '500'],
  ])('of a part that %s ends the file, and it is abandoned', async (_, mishaps, status) => {
    receiver.mishaps.set('part 2', mishaps);
    await expect(send(bytesOf(9 * PART))).rejects.toMatchObject({
      code: 'runner_failed',
      detail: expect.stringContaining(status),
    });
    expect(receiver.requests.at(-1)).toBe('abort');
    expect(receiver.requests).not.toContain('complete');
    expect(receiver.files).toEqual([]);
    const after = receiver.requests.length;
    await sleep(100);
    expect(receiver.requests).toHaveLength(after);
  });

  it('of a part stops the one beside it', async () => {
    receiver.mishaps.set('part 1', ['hang']).set('part 2', [413]);
    await expect(send(bytesOf(3 * PART))).rejects.toThrow(/answered 413/);
    expect(receiver.requests.toSorted()).toEqual(['abort', 'begin', 'part 1', 'part 2']);
  }, 15_000);

  it('of the end abandons it too', async () => {
    receiver.mishaps.set('complete', [400]);
    await expect(send(bytesOf(3 * PART))).rejects.toMatchObject({ code: 'runner_failed' });
    expect(receiver.requests.slice(-2)).toEqual(['complete', 'abort']);
  });

  it('of the beginning leaves nothing to abandon', async () => {
    receiver.mishaps.set('begin', [403]);
    await expect(send(bytesOf(3 * PART))).rejects.toMatchObject({ code: 'runner_failed' });
    expect(receiver.requests).toEqual(['begin']);
  });

  it('to abandon it changes nothing', async () => {
    receiver.mishaps.set('part 1', [404]).set('abort', ['destroy']);
    await expect(send(bytesOf(3 * PART))).rejects.toThrow(/answered 404/);
  });
});

it('stops between parts when it is cancelled, and abandons the file', async () => {
  const controller = new AbortController();
  const reason = new Error('canceled');
  receiver.mishaps.set('part 2', ['hang']);
  const sending = send(bytesOf(50 * PART), controller.signal);
  await vi.waitFor(() => expect(receiver.requests).toContain('part 4'));
  controller.abort(reason);
  await expect(sending).rejects.toBe(reason);
  expect(receiver.requests.at(-1)).toBe('abort');
  expect(receiver.requests.length).toBeLessThan(20);
  expect(receiver.files).toEqual([]);
});

it.each([{}, { location: 'http://' }])('says so when the receiver takes no parts (%o)', async (begins) => {
  receiver.begins = begins as Record<string, string>;
  await expect(send(bytesOf(3 * PART))).rejects.toMatchObject({
    code: 'runner_failed',
    detail: expect.stringContaining('location'),
  });
});

it('goes where the receiver says only if it may go there', async () => {
  receiver.begins = { location: 'http://169.254.169.254/' };
  await expect(send(bytesOf(3 * PART))).rejects.toMatchObject({ code: 'forbidden' });
  expect(receiver.requests).toEqual(['begin']);
});

it('is asked for by the input of a prediction', async () => {
  const server = await startServer({ ALLOW_ORIGINS: receiver.origin });
  const side = 1400;
  const noise = Buffer.alloc(side * side * 3);
  for (let i = 0, state = 1; i < noise.length; i++)
    noise[i] = (state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0) >>> 24;
  const picture = await sharp(noise, { raw: { width: side, height: side, channels: 3 } })
    .png()
    .toBuffer();
  const input = {
    operation: 'encode',
    image: `data:image/png;base64,${picture.toString('base64')}`,
    format: 'png',
    result_upload_url: receiver.url,
    upload_part_bytes: UPLOAD_PART_MIN_BYTES,
  };
  const { body } = await server.call('POST', '/predictions', { input });
  const small = await server.call('POST', '/predictions', { input: { ...input, upload_part_bytes: PART } });
  await server.stop();
  expect([body.status, body.error]).toEqual(['succeeded', null]);
  expect(receiver.requests).toEqual(expect.arrayContaining(['begin', 'part 1', 'part 2', 'complete']));
  expect((await sharp(receiver.files[0]!.bytes).raw().toBuffer()).equals(noise)).toBe(true);
  expect(small.status).toBe(422);
});
