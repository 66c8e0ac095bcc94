/** What the runner's benches share: pictures of any size, requests as the gateway makes them, memory as the kernel counts it. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import type { OutputFormat } from '@deblur/shared/protocol/options.ts';
import type { Receiver } from '../../gpu-runner/support/receiver.ts';
import type { Answer, RunningServer } from '../../gpu-runner/support/runner.ts';

const blurred = await readFile(path.resolve(import.meta.dirname, '../../fixtures/reds/blur.png'));

/** A photograph of any size. */
export function photo(width: number, height: number, format: OutputFormat): Promise<Buffer> {
  const resized = sharp(blurred).resize(width, height, { fit: 'fill' });
  return resized.toFormat(format, format === 'png' ? { compressionLevel: 2 } : { quality: 90 }).toBuffer();
}

/** The same with a sensor's grain: a file as large as a camera's, where an enlarged photograph is smooth and small. */
export async function grainyPhoto(width: number, height: number, format: OutputFormat): Promise<Buffer> {
  const input = await photo(width, height, 'jpeg');
  return sharp({
    create: { width, height, channels: 3, background: 'grey', noise: { type: 'gaussian', mean: 128, sigma: 2 } },
  })
    .composite([{ input, blend: 'overlay' }])
    .toFormat(format, format === 'png' ? { compressionLevel: 2, adaptiveFiltering: true } : { quality: 92 })
    .toBuffer();
}

/** Restores a source of the receiver; master and result go back to it. */
export async function restore(
  server: RunningServer,
  { origin }: Receiver,
  id: string,
  source: string,
  format: OutputFormat = 'jpeg',
): Promise<Answer['body']> {
  const { body } = await server.call('PUT', `/predictions/${id}`, { input: uploadedTo(origin, source, format) });
  if (body.status !== 'succeeded') throw new Error(`${id}: ${String(body.error ?? JSON.stringify(body))}`);
  return body;
}

/** A prediction's input: a source of the receiver, whose master and result go back to it. */
export function uploadedTo(origin: string, source: string, format: OutputFormat): object {
  return {
    image: origin + source,
    format,
    master_upload_url: `${origin}/master`,
    result_upload_url: `${origin}/result`,
  };
}

/** Megabytes: `VmRSS` now, `VmHWM` at its highest. */
export async function memoryOf(pid: number, field: 'VmRSS' | 'VmHWM'): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const kib = Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
  return Math.round((kib * 1024) / 1e6);
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}

export function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
