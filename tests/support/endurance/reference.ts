/** The shipped network run directly, without anything of ours around it. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { manifestSchema, variantOf } from '@deblur/shared/protocol/model-manifest.ts';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { root } from '../../../scripts/lib/service.ts';
import { decodeRgb, type Pixels } from '../images.ts';

const FOLDER = path.join(root, 'model-export/weights/dhnet-edge');

/** Restores a picture that is one tile. */
export type DirectRun = (picture: Buffer) => Promise<Pixels>;

export async function directRun(): Promise<DirectRun> {
  const manifest = manifestSchema.parse(JSON.parse(await readFile(path.join(FOLDER, 'manifest.json'), 'utf8')));
  const { file, input, output } = variantOf(manifest, 'uint8');
  const session = await InferenceSession.create(path.join(FOLDER, file), { intraOpNumThreads: 1 });
  return async (picture) => {
    const { width, height, data } = await decodeRgb(picture);
    const outputs = await session.run({ [input.name]: new Tensor(new Uint8Array(data), [1, height, width, 3]) });
    return { width, height, data: outputs[output.name]?.data as Uint8Array };
  };
}
