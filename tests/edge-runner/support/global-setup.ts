/** What workerd cannot do for itself: builds the WebAssembly, and lets native code say what is right. */
import { readFile } from 'node:fs/promises';
import { manifestSchema, wasmVariantOf } from '@deblur/shared/protocol/model-manifest.ts';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import sharp from 'sharp';
import type { TestProject } from 'vitest/node';
import { buildWasm } from '../../../workers/edge-runner/build/index.ts';
import type { GoldenPicture } from './provided.d.ts';

const root = new URL('../../../', import.meta.url);

const DECODED = [
  'rgba.png',
  'grey-alpha.png',
  'grey.png',
  'two-colours.png',
  'palette.png',
  'palette-alpha.png',
  'interlaced.png',
  'interlaced-palette.png',
  'size-1x37.png',
  'grey.jpg',
  'size-61x47.jpg',
  'progressive.jpg',
  'size-61x47.webp',
  'rgba.webp',
] as const;

export default async function setup(project: TestProject): Promise<void> {
  await buildWasm();
  project.provide('goldenTile', await goldenTile());
  project.provide('goldenPictures', await Promise.all(DECODED.map(goldenPicture)));
}

async function goldenTile(): Promise<{ size: number; input: string; output: string }> {
  const model = new URL('model-export/weights/dhnet-edge/', root);
  const manifest = manifestSchema.parse(JSON.parse(await readFile(new URL('manifest.json', model), 'utf8')));
  const { size } = manifest.tile;
  const variant = wasmVariantOf(manifest);
  const session = await InferenceSession.create(await readFile(new URL(variant.file, model)), { intraOpNumThreads: 1 });
  const blurred = sharp(await readFile(new URL('tests/fixtures/reds/blur.png', root)));
  const input = await blurred.extract({ left: 300, top: 200, width: size, height: size }).raw().toBuffer();
  const results = await session.run({
    [variant.input.name]: new Tensor('uint8', new Uint8Array(input), [1, size, size, 3]),
  });
  const output = results[variant.output.name]?.data;
  await session.release();
  if (!(output instanceof Uint8Array)) throw new Error('the model gave no bytes');
  return { size, input: input.toString('base64'), output: Buffer.from(output).toString('base64') };
}

async function goldenPicture(file: string): Promise<GoldenPicture> {
  const bytes = await readFile(new URL(`tests/fixtures/fidelity/${file}`, root));
  const picture = sharp(bytes, { ignoreIcc: true });
  const { width, height, channels } = await picture.metadata();
  const data = await picture.ensureAlpha().raw().toBuffer();
  // libvips hands everything over as RGBA here; what the file has of it is what counts.
  const kept = { 1: [0], 2: [0, 3], 3: [0, 1, 2], 4: [0, 1, 2, 3] }[channels] ?? [];
  const samples = data.filter((_, i) => kept.includes(i % 4));
  return { file, width, height, channels, base64: Buffer.from(samples).toString('base64') };
}
