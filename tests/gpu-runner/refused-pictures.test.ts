/** Pictures that this placement refuses, through the real server. */
import { crc32, deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dataUri, fixture } from './support/images.ts';
import { startServer, type RunningServer } from './support/runner.ts';

let server: RunningServer;
beforeAll(async () => void (server = await startServer()));
afterAll(async () => void (await server.stop()));

async function refusal(file: Uint8Array): Promise<string | undefined> {
  const { status, body } = await server.call('POST', '/predictions', { input: { image: dataUri(file) } });
  expect(status).toBe(200);
  expect(body.status).toBe('failed');
  expect((await server.health()).status).toBe('READY');
  return body.error?.split(':')[0];
}

describe('refused', () => {
  it('a bomb, by its header', async () => {
    expect(await refusal(bombPng(30_000, 30_000))).toBe('image_too_many_pixels');
  });

  it('an animation', async () => {
    const frames = [0, 128, 255].map((red) => ({
      create: { width: 16, height: 16, channels: 3 as const, background: { r: red, g: 0, b: 0 } },
    }));
    const pages = await Promise.all(frames.map((frame) => sharp(frame).png().toBuffer()));
    const webp = await sharp(pages, { join: { animated: true } })
      .webp()
      .toBuffer();
    expect(await refusal(webp)).toBe('image_animated');
    const tiff = await sharp(pages, { join: { animated: true } })
      .tiff()
      .toBuffer();
    expect(await refusal(tiff)).toBe('image_animated');
  });

  it.each(['jpeg', 'png', 'webp', 'avif', 'tiff'] as const)('a truncated %s', async (format) => {
    const file = await sharp(await fixture('kodak/kodim23.png'))
      .toFormat(format)
      .toBuffer();
    expect(await refusal(file.subarray(0, Math.floor(file.length * 0.6)))).toBe('image_truncated');
  });

  it.each(['jpeg', 'png', 'webp'] as const)('a %s with damaged pixels, or it is restored', async (format) => {
    const file = await sharp(await fixture('kodak/kodim23.png'))
      .toFormat(format)
      .toBuffer();
    file.fill(0xa5, file.length >> 1, (file.length >> 1) + 2000);
    const { status, body } = await server.call('POST', '/predictions', { input: { image: dataUri(file) } });
    expect(status).toBe(200);
    if (body.status === 'failed') expect(body.error).toMatch(/^image_(undecodable|truncated): /);
  });

  it.each([
    ['text', Buffer.from('I am a PNG, believe me.')],
    ['SVG', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"></svg>')],
    ['PDF', Buffer.from('%PDF-1.7\n1 0 obj\n')],
  ])('%s', async (_, file) => {
    expect(await refusal(file)).toBe('unsupported_media_type');
  });
});

/** A whole, valid-looking PNG of a few bytes that claims many pixels. */
function bombPng(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const chunks = [
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.alloc(1000))),
    chunk('IEND', Buffer.alloc(0)),
  ];
  return Buffer.concat([signature, ...chunks]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
}
