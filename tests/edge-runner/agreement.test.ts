import { env } from 'cloudflare:workers';
import { expect, inject, it } from 'vitest';
import { loadModelFiles } from '../../workers/edge-runner/model-files.ts';
import { createOrtSession } from '../../workers/edge-runner/ort-web-session.ts';
import { fromBase64 } from './support/worker.ts';

it('a tile is what onnxruntime-node makes of it, within 1 on 99.9 % of samples', async () => {
  const golden = inject('goldenTile');
  const input = fromBase64(golden.input);
  const expected = fromBase64(golden.output);
  const { onnx, variant } = await loadModelFiles(env.ASSETS, 'dhnet-edge');
  const session = await createOrtSession(onnx, variant);
  const { width, height, data } = await session.run({ width: 256, height: 256, data: input });
  expect({ width, height, length: data.length }).toEqual({ width: 256, height: 256, length: expected.length });
  // Not a comparison of two copies of the input.
  expect(expected).not.toEqual(input);
  const near = data.filter((sample, i) => Math.abs(sample - expected[i]!) <= 1);
  expect(near.length / data.length).toBeGreaterThanOrEqual(0.999);
});
