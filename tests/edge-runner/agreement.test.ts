import { readImageHeader } from '@deblur/shared/image-header/index.ts';
import { expect, inject, it } from 'vitest';
import { WasmCodec } from '../../workers/edge-runner/wasm-codec.ts';
import { fromBase64, restore } from './support/worker.ts';

// Through the whole Worker: a picture of exactly one tile goes in and comes out losslessly, so the network alone decides.
it('a tile is what onnxruntime-node makes of it, within 1 on every sample', async () => {
  const golden = inject('goldenTile');
  const blurred = { width: golden.size, height: golden.size, channels: 3, data: fromBase64(golden.input) } as const;
  const expected = fromBase64(golden.output);
  const codec = new WasmCodec();
  const reply = await restore(await codec.encode(blurred, { format: 'png', quality: 100, metadata: 'keep' }));
  if (!reply.ok) throw new Error(reply.error.code);
  const { data } = await codec.decode(reply.master, readImageHeader(reply.master));
  expect(data).toHaveLength(expected.length);
  expect(data.filter((sample, i) => Math.abs(sample - expected[i]!) > 1)).toHaveLength(0);
  // Without this, a Worker that returned its input would pass with a network that does nothing.
  const restoredSamples = expected.filter((sample, i) => sample !== blurred.data[i]);
  expect(restoredSamples.length / data.length).toBeGreaterThan(0.1);
});
