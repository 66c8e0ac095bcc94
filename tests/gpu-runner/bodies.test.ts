/** What comes in and goes out as bodies: forms in pieces and broken ones, room in memory, large files inside JSON. */
import { once } from 'node:events';
import { request, type ClientRequest, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { Webhook } from 'standardwebhooks';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { BASE64_PIECE_BYTES, SMALL_BODY_MAX_BYTES } from '../../gpu-runner/limits.ts';
import { predictionJson } from '../../gpu-runner/predictions/prediction-json.ts';
import { Prediction } from '../../gpu-runner/predictions/prediction.ts';
import { FormError, readForm } from '../../gpu-runner/http/form.ts';
import { traceOf } from '../../gpu-runner/ops/trace.ts';
import { dataUri, gradientPng, outputFile } from './support/images.ts';
import { startReceiver, type Receiver } from './support/receiver.ts';
import { startServer, until, type RunningServer } from './support/runner.ts';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
let server: RunningServer;
let receiver: Receiver;
beforeAll(async () => {
  receiver = await startReceiver();
  server = await startServer({ SLOTS: '1', ALLOW_ORIGINS: receiver.origin, WEBHOOK_SECRET: SECRET });
});
afterEach(() => void receiver.uploads.splice(0));
afterAll(async () => {
  await server.stop();
  await receiver.close();
});

describe('a form', () => {
  const TYPE = 'multipart/form-data; boundary=line';
  const part = (head: string, value: string): string => `--line\r\nContent-Disposition: ${head}\r\n\r\n${value}\r\n`;
  const END = '--line--\r\n';

  async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  }

  it.each([1, 7, 1000])('is read the same in pieces of %i bytes', async (size) => {
    const picture = Buffer.from(
      Array.from({ length: 3000 }, (_, i) => (i % 5 === 0 ? '\r\n--line'.charCodeAt(i % 8) : i)),
    );
    const body = Buffer.concat([
      Buffer.from(part('form-data; name="format"', 'png') + part('form-data; name="image"; filename="a.png"', '')),
      Buffer.from(END),
    ]);
    const at = body.length - END.length - 2;
    const whole = Buffer.concat([body.subarray(0, at), picture, body.subarray(at)]);
    const { parts } = await readForm(inPieces(whole, size), TYPE);
    expect(parts.map(([name]) => name)).toEqual(['format', 'image']);
    expect(parts[0]![1]).toBe('png');
    expect(Buffer.from(parts[1]![1] as Uint8Array).equals(picture)).toBe(true);
  });

  it.each([
    ['that is cut off in a file', part('form-data; name="image"; filename="a"', 'abc').slice(0, -3), 'cut off'],
    ['that is cut off in a head', '--line\r\nContent-Dis', 'cut off'],
    ['with a part without a name', part('form-data', 'x') + END, 'without a name'],
    ['with a file without a name', part('form-data; filename="a"', 'x') + END, 'without a name'],
    ['of too many parts', part('form-data; name="a"', 'x').repeat(40) + END, 'too many parts'],
    ['with an endless field', part('form-data; name="a"', 'x'.repeat(9_000_000)) + END, 'too long'],
  ])('%s is refused, and read to its end', async (_, body, reason) => {
    let read = 0;
    async function* counted(): AsyncGenerator<Uint8Array> {
      for await (const piece of inPieces(Buffer.from(body), 65_536)) {
        read += piece.length;
        yield piece;
      }
    }
    const refused = readForm(counted(), TYPE);
    await expect(refused).rejects.toThrow(reason);
    await expect(refused).rejects.toBeInstanceOf(FormError);
    expect(read).toBe(Buffer.byteLength(body));
  });

  it.each([
    ['without a boundary', 'multipart/form-data', 'x', ['body']],
    ['that is cut off', TYPE, part('form-data; name="image"; filename="a"', 'abc').slice(0, -3), ['body']],
    [
      'whose fields are named as what objects have',
      TYPE,
      part('form-data; name="__proto__"', '{}') + END,
      ['body.input.image', 'body.input.__proto__'],
    ],
  ])('%s is 422', async (_, type, body, locations) => {
    const response = await fetch(`${server.url}/predictions`, {
      method: 'POST',
      body,
      headers: { 'content-type': type },
    });
    expect(response.status).toBe(422);
    const { detail } = (await response.json()) as { detail: readonly { loc: readonly string[] }[] };
    expect(detail.map(({ loc }) => loc.join('.'))).toEqual(locations);
  });
});

describe('room in memory', () => {
  /** Begins to send a body and stands still. */
  function begin(contentType: string, length: number): ClientRequest {
    const headers = { 'content-type': contentType, 'content-length': length };
    const sent = request(`${server.url}/predictions`, { method: 'POST', headers });
    sent.write('{"input":');
    return sent;
  }

  async function answer(sent: ClientRequest): Promise<{ status: number; body: string }> {
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    return { status: response.statusCode!, body: await text(response) };
  }

  it('is for as many bodies with files as there are slots, until they are read', async () => {
    const small = { input: { image: dataUri(await gradientPng(8, 8)) } };
    const large = { input: { ...small.input, image: `data:image/png;base64,${'A'.repeat(SMALL_BODY_MAX_BYTES)}` } };
    const rest = Buffer.byteLength(JSON.stringify(large)) - '{"input":'.length;
    const standing = begin('application/json', '{"input":'.length + rest);
    // The second is refused without being waited for; what is small needs no room.
    await until(async () => (await server.call('POST', '/predictions', large)).status === 409);
    expect((await server.call('POST', '/predictions', small)).body.status).toBe('succeeded');
    standing.end(JSON.stringify(large).slice('{"input":'.length));
    const { status, body } = await answer(standing);
    expect([status, (JSON.parse(body) as { error: string }).error]).toEqual([
      200,
      expect.stringMatching(/^unsupported_media_type: /),
    ]);
    expect((await server.call('POST', '/predictions', large)).status).toBe(200);
  });

  it('is free again when a client goes away in the middle', async () => {
    const body = { input: { image: `data:image/png;base64,${'A'.repeat(SMALL_BODY_MAX_BYTES)}` } };
    const standing = begin('application/json', 2_000_000);
    standing.on('error', () => undefined);
    await until(async () => (await server.call('POST', '/predictions', body)).status === 409);
    standing.destroy();
    await until(async () => (await server.call('POST', '/predictions', body)).status === 200);
  });

  it('is given up once a form is read, not when its picture is done', async () => {
    const form = new FormData();
    form.append('image', new Blob([new Uint8Array(await gradientPng(700, 450))]));
    const headers = { prefer: 'wait', accept: 'application/json' };
    const running = fetch(`${server.url}/predictions`, { method: 'POST', body: form, headers });
    await until(async () => (await server.health()).slots.busy === 1);
    // With room for its body, what refuses this is that no slot is free: the body was read and judged.
    const faulty = { input: { image: 'x'.repeat(SMALL_BODY_MAX_BYTES), scale: 2 } };
    expect((await server.call('POST', '/predictions', faulty)).status).toBe(422);
    expect((await running).status).toBe(200);
  });
});

describe('addresses for uploads', () => {
  it.each(['master_upload_url', 'result_upload_url'])(
    'a %s that is not called is refused before any work',
    async (name) => {
      const image = `${receiver.origin}/never.png`;
      let asked = 0;
      receiver.sources.set('/never.png', (response) => {
        asked++;
        response.writeHead(404).end();
      });
      const { status, body } = await server.call('POST', '/predictions', {
        input: { image, [name]: 'https://10.0.0.1/put?secret=s' },
      });
      expect(status).toBe(422);
      expect(body.detail).toMatchObject([{ loc: ['body', 'input', name] }]);
      expect(JSON.stringify(body)).not.toContain('secret');
      expect(asked).toBe(0);
    },
  );
});

describe('the same PUT again', () => {
  it('is new work after a failure that may have passed, and the old answer after any other', async () => {
    const picture = await gradientPng(20, 20);
    let asked = 0;
    receiver.sources.set('/flaky.png', (response) => {
      asked++;
      if (asked === 1) response.writeHead(500).end();
      else response.writeHead(200).end(asked === 2 ? picture : 'no picture');
    });
    const put = (id: string) =>
      server.call('PUT', `/predictions/${id}`, { input: { image: `${receiver.origin}/flaky.png` } });
    expect((await put('flaky')).body.error).toMatch(/^source_fetch_failed: /);
    const succeeded = await put('flaky');
    expect(succeeded.body.status).toBe('succeeded');
    expect((await put('flaky')).body).toEqual(succeeded.body);
    const failed = await put('hopeless');
    expect(failed.body.error).toMatch(/^unsupported_media_type: /);
    expect((await put('hopeless')).body).toEqual(failed.body);
    expect(asked).toBe(3);
  });
});

describe('a file inside JSON', () => {
  const report = { tiles: 1, width: 1, height: 1, decodeMs: 0, restoreMs: 0, inferMs: 0, encodeMs: 0 };

  it.each([0, 1, 2, 3, BASE64_PIECE_BYTES - 1, BASE64_PIECE_BYTES, BASE64_PIECE_BYTES + 1, 2 * BASE64_PIECE_BYTES + 2])(
    'of %i bytes is what it would be in one go',
    async (length) => {
      const trace = traceOf('r', undefined, undefined);
      const prediction = new Prediction('a', { operation: 'restore', image: 'data:"ä\u2028",x' }, trace);
      const bytes = Buffer.alloc(length + 5, Buffer.from([0, 255, 17, 131, 66, 9, 250])).subarray(5);
      prediction.start();
      prediction.succeed({ format: 'png', bytes }, report);
      const snapshot = prediction.snapshot();
      const made = JSON.parse(Buffer.from(await predictionJson(snapshot)).toString()) as unknown;
      expect(made).toEqual({ ...snapshot, output: `data:image/png;base64,${bytes.toString('base64')}` });
    },
  );

  it('is the same in the answer, in GET and in a signed webhook as on its own', async () => {
    const noise = { type: 'gaussian', mean: 128, sigma: 60 } as const;
    const picture = sharp({ create: { width: 760, height: 560, channels: 3, background: 'black', noise } });
    const image = new Blob([new Uint8Array(await picture.png().toBuffer())]);
    const fileForm = (): FormData => {
      const form = new FormData();
      form.append('image', image);
      return form;
    };
    const headers = { accept: 'image/png' };
    const alone = await fetch(`${server.url}/predictions`, { method: 'POST', body: fileForm(), headers });
    const expected = Buffer.from(await alone.arrayBuffer());
    expect(expected.length).toBeGreaterThan(BASE64_PIECE_BYTES);

    const form = fileForm();
    form.append('format', 'png');
    const put = await fetch(`${server.url}/predictions/large`, { method: 'PUT', body: form });
    const { output } = (await put.json()) as { output: string };
    expect(outputFile(output).equals(expected)).toBe(true);
    expect((await server.call('GET', '/predictions/large')).body.output).toBe(output);

    receiver.sources.set('/large.png', Buffer.from(await image.arrayBuffer()));
    const input = { image: `${receiver.origin}/large.png`, format: 'png' };
    const body = { input, webhook: `${receiver.origin}/hook`, webhook_events_filter: ['completed'] };
    await server.call('POST', '/predictions', body);
    await until(() => receiver.uploads.length > 0);
    const [hook] = receiver.uploads;
    const verified = new Webhook(SECRET).verify(hook!.bytes, hook!.headers as Record<string, string>);
    expect((verified as { output: string }).output).toBe(output);
  });
});
