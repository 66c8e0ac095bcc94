/** Pictures made for a test, and what comes back. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';

export const FIXTURES = path.resolve(import.meta.dirname, '../../fixtures');

export function fixture(name: string): Promise<Buffer> {
  return readFile(path.join(FIXTURES, name));
}

export function dataUri(bytes: Uint8Array, type = 'application/octet-stream'): string {
  return `data:${type};base64,${Buffer.from(bytes).toString('base64')}`;
}

/** The file in a prediction's output. */
export function outputFile(output: unknown): Buffer {
  const match = /^data:(image\/[a-z]+);base64,(.+)$/.exec(String(output));
  if (match === null) throw new Error(`no data URI: ${String(output).slice(0, 80)}`);
  return Buffer.from(match[2]!, 'base64');
}

/** A smooth picture of any size, quickly made: PNG, RGB. */
export function gradientPng(width: number, height: number): Promise<Buffer> {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      data[i++] = Math.round((x / width) * 255);
      data[i++] = Math.round((y / height) * 255);
      data[i++] = 128;
    }
  }
  return sharp(data, { raw: { width, height, channels: 3 } })
    .png({ compressionLevel: 1 })
    .toBuffer();
}

/** Peak signal-to-noise ratio in dB of two arrays of bytes. */
export function psnr(a: Uint8Array, b: Uint8Array): number {
  if (a.length !== b.length) throw new Error(`${a.length} samples and ${b.length}`);
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return 10 * Math.log10(255 ** 2 / (sum / a.length));
}
