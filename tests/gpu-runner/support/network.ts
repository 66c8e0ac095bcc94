/** The model run directly, without anything of ours around it: what the runner must come to for a picture of one tile. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import {
  manifestSchema,
  variantOf,
  type ModelManifest,
  type VariantId,
} from '@deblur/shared/protocol/model-manifest.ts';
import type { ModelName } from '@deblur/shared/protocol/options.ts';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { MODEL_DIR } from './runner.ts';

export async function readManifest(name: ModelName = 'dhnet-edge'): Promise<ModelManifest> {
  return manifestSchema.parse(JSON.parse(await readFile(path.join(MODEL_DIR, name, 'manifest.json'), 'utf8')));
}

/** @param rgb samples of a picture whose sides are multiples of the model's pad multiple and no larger than a tile */
export async function runDirectly(
  variantId: VariantId,
  width: number,
  height: number,
  rgb: Uint8Array | Float32Array,
): Promise<Uint8Array | Float32Array> {
  const { file, input, output } = variantOf(await readManifest(), variantId);
  const session = await InferenceSession.create(path.join(MODEL_DIR, 'dhnet-edge', file), { intraOpNumThreads: 1 });
  const outputs = await session.run({ [input.name]: new Tensor(rgb, [1, height, width, 3]) });
  const data = outputs[output.name]?.data;
  if (!(data instanceof Uint8Array || data instanceof Float32Array)) throw new Error('no picture');
  return data;
}
