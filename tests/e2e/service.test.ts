import { crc32 } from 'node:zlib';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeRgb, fixture, mosaic, psnr } from '../support/images.ts';
import { startAsUser, type Started } from '../support/start.ts';

let service: Started;
let blurred: Buffer;
let sharpTwin: Buffer;

beforeAll(async () => {
  [blurred, sharpTwin, service] = await Promise.all([
    fixture('reds/blur.png'),
    fixture('reds/sharp.png'),
    startAsUser(),
  ]);
});

afterAll(async () => {
  expect(await service.interrupt()).toBe(0);
  // Nothing is left behind: the port is closed with the Workers, and the runner was the same group's child.
  await expect(fetch(service.url)).rejects.toThrow();
});

function deblur(body: Uint8Array | FormData | string, query = '', headers: Record<string, string> = {}) {
  const init = { method: 'POST', body: body instanceof Uint8Array ? new Uint8Array(body) : body, headers };
  return fetch(`${service.url}/v1/deblur${query}`, init);
}

async function bytesOf(response: Response): Promise<Buffer> {
  return Buffer.from(await response.arrayBuffer());
}

function canonical(response: Response): string {
  const target = /<([^>]+)>; rel="canonical"/.exec(response.headers.get('link') ?? '')?.[1];
  if (target === undefined) throw new Error(`no canonical link: ${response.headers.get('link')}`);
  return new URL(target, service.url).href;
}

describe('a blurred photograph at the edge', () => {
  it('comes back sharper, then from the store, then not at all', async () => {
    const first = await deblur(blurred, '', { 'content-type': 'image/png' });
    expect(first.status).toBe(200);
    expect(first.headers.get('content-type')).toBe('image/png');
    expect(first.headers.get('x-placement')).toBe('edge');
    expect(first.headers.get('x-cache')).toBe('miss');
    expect(first.headers.get('x-model')).toMatch(/^dhnet-edge@[0-9a-f]{12}$/);
    const restored = await bytesOf(first);
    const truth = await decodeRgb(sharpTwin);
    const gain = psnr(await decodeRgb(restored), truth) - psnr(await decodeRgb(blurred), truth);
    expect(gain).toBeGreaterThan(0.1);

    const second = await deblur(blurred, '', { 'content-type': 'image/png' });
    expect(second.headers.get('x-cache')).toBe('hit');
    expect(second.headers.get('server-timing')).not.toContain('infer');
    expect(await bytesOf(second)).toEqual(restored);

    const result = await fetch(canonical(first));
    expect(result.status).toBe(200);
    expect(result.headers.get('cache-control')).toContain('immutable');
    expect(await bytesOf(result)).toEqual(restored);
    const etag = result.headers.get('etag') ?? '';
    const fresh = await fetch(canonical(first), { headers: { 'if-none-match': etag } });
    expect(fresh.status).toBe(304);
    expect(await bytesOf(fresh)).toHaveLength(0);
  });

  it('is encoded in another format from the same inference', async () => {
    const webp = await deblur(blurred, '?format=webp&quality=80');
    expect(webp.headers.get('content-type')).toBe('image/webp');
    expect(webp.headers.get('x-cache')).toBe('hit');
    const png = await deblur(blurred, '?format=png');
    expect(psnr(await decodeRgb(await bytesOf(webp)), await decodeRgb(await bytesOf(png)))).toBeGreaterThan(32);
  });

  it('may come as a form or as JSON, and is then the same picture', async () => {
    const form = new FormData();
    form.set('image', new Blob([new Uint8Array(blurred)]), 'blur.png');
    form.set('format', 'png');
    const asForm = await deblur(form);
    const small = await sharp(blurred).extract({ left: 0, top: 0, width: 96, height: 64 }).png().toBuffer();
    const json = JSON.stringify({ image: `data:image/png;base64,${small.toString('base64')}` });
    const asJson = await deblur(json, '', { 'content-type': 'application/json' });
    expect([asForm.status, asForm.headers.get('x-cache')]).toEqual([200, 'hit']);
    expect([asJson.status, asJson.headers.get('x-cache')]).toEqual([200, 'miss']);
    expect((await deblur(small)).headers.get('x-cache')).toBe('hit');
  });
});

describe('a picture above the edge’s limit', () => {
  it('is restored by the runner, sharper too', async () => {
    const large = await mosaic(blurred);
    const response = await deblur(large, '', { prefer: 'wait=60' });
    expect(response.status).toBe(200);
    expect(response.headers.get('x-placement')).toBe('runner');
    const restored = await decodeRgb(await bytesOf(response));
    expect([restored.width, restored.height]).toEqual([2560, 1440]);
    const truth = await decodeRgb(await mosaic(sharpTwin));
    expect(psnr(restored, truth) - psnr(await decodeRgb(large), truth)).toBeGreaterThan(0.1);
  });

  it('that outlasts the wait is a prediction, is finished all the same, and then hits', async () => {
    // Another picture than above, so that nothing of it is stored yet.
    const large = await sharp(await mosaic(blurred))
      .flip()
      .png({ compressionLevel: 3 })
      .toBuffer();
    const late = await deblur(large, '', { prefer: 'wait=1' });
    expect(late.status).toBe(202);
    expect(Number(late.headers.get('retry-after'))).toBeGreaterThan(0);
    const { urls } = (await late.json()) as { urls: { get: string } };
    expect(urls.get).toBe(new URL(late.headers.get('location') ?? '', service.url).href);
    let prediction: { status: string; output: string | null };
    do {
      await new Promise((resolve) => setTimeout(resolve, 250));
      prediction = (await (await fetch(urls.get)).json()) as typeof prediction;
    } while (prediction.status === 'starting' || prediction.status === 'processing');
    expect(prediction.status).toBe('succeeded');
    expect((await fetch(prediction.output ?? '')).headers.get('content-type')).toBe('image/png');
    const again = await deblur(large);
    expect(again.headers.get('x-cache')).toBe('hit');
  });
});

describe('what the service says of itself', () => {
  it('lists models and refuses one without trained weights', async () => {
    const { models } = (await (await fetch(`${service.url}/v1/models`)).json()) as {
      models: { name: string; available: boolean }[];
    };
    const available = new Map(models.map(({ name, available }) => [name, available]));
    expect(available.get('dhnet-edge')).toBe(true);
    for (const [name, isAvailable] of available) {
      if (isAvailable) continue;
      const refused = await deblur(blurred, `?model=${name}`);
      expect(refused.status).toBe(422);
      expect(await refused.json()).toMatchObject({ code: 'model_unavailable' });
    }
  });
});

describe('bad input', () => {
  const cases: readonly (readonly [
    name: string,
    body: () => Promise<Buffer> | Buffer,
    status: number,
    code: string,
  ])[] = [
    ['nothing', () => Buffer.alloc(0), 400, 'empty_body'],
    ['a text called .png', () => Buffer.from('hello, I am a picture\n'), 415, 'unsupported_media_type'],
    [
      'a truncated JPEG',
      async () => {
        const jpeg = await sharp(blurred).jpeg().toBuffer();
        return jpeg.subarray(0, jpeg.length >> 1);
      },
      422,
      'image_truncated',
    ],
    ['a PNG bomb', () => pngHeader(30_000, 30_000), 422, 'image_too_many_pixels'],
    ['an animated GIF', () => animated('gif'), 422, 'image_animated'],
    ['an animated WebP', () => animated('webp'), 422, 'image_animated'],
    ['too many bytes', () => Buffer.alloc(25_000_001, 1), 413, 'body_too_large'],
  ];

  it.each(cases)('%s has a problem of its own', async (_name, body, status, code) => {
    const response = await deblur(await body(), '', { 'content-type': 'image/png' });
    expect(response.status).toBe(status);
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    expect(await response.json()).toMatchObject({ status, code, request_id: response.headers.get('x-request-id') });
    expect((await fetch(`${service.url}/healthz`)).status).toBe(200);
  });

  it('an unknown option is named', async () => {
    const response = await deblur(blurred, '?sharpness=11');
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({ code: 'unknown_option', errors: [{ field: 'sharpness' }] });
  });
});

describe('unusual but valid input', () => {
  it('a 1×1 picture comes back as one', async () => {
    const dot = await sharp({ create: { width: 1, height: 1, channels: 3, background: '#804020' } })
      .png()
      .toBuffer();
    const response = await deblur(dot);
    expect(response.status).toBe(200);
    expect(await decodeRgb(await bytesOf(response))).toMatchObject({ width: 1, height: 1 });
  });

  it('a CMYK JPEG comes back as the picture it shows', async () => {
    const photo = await sharp(await fixture('kodak/kodim23.png'))
      .resize(320)
      .toColourspace('cmyk')
      .jpeg()
      .toBuffer();
    const response = await deblur(photo);
    expect(response.status).toBe(200);
    expect(response.headers.get('x-placement')).toBe('runner');
    expect(psnr(await decodeRgb(await bytesOf(response)), await decodeRgb(photo))).toBeGreaterThan(30);
  });
});

/** A PNG that claims a size: signature, IHDR with its checksum, IEND. */
function pngHeader(width: number, height: number): Buffer {
  const chunk = (type: string, data: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const frame = Buffer.alloc(8);
    frame.writeUInt32BE(data.length);
    frame.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
  };
  const ihdr = Buffer.alloc(13);
  ihdr.writeUInt32BE(width);
  ihdr.writeUInt32BE(height, 4);
  ihdr.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature,
    chunk('IHDR', ihdr),
    chunk('IDAT', Buffer.from([0])),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function animated(format: 'gif' | 'webp'): Promise<Buffer> {
  const frames = Buffer.alloc(16 * 32 * 3, 90).fill(200, 16 * 16 * 3);
  const picture = sharp(frames, { raw: { width: 16, height: 32, channels: 3, pageHeight: 16 } });
  return picture.toFormat(format, { delay: [50, 50] }).toBuffer();
}
