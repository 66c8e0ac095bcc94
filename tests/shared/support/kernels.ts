/** The kernels beside ONNX Runtime, which is right by definition, on the weights of the repository. */
import { readFile } from 'node:fs/promises';
import { EDGE_SESSION_MEMORY_MAX_BYTES } from '@deblur/shared/limits.ts';
import { KernelSession } from '@deblur/shared/kernels/session.ts';
import { manifestSchema, variantOf } from '@deblur/shared/protocol/model-manifest.ts';
import { InferenceSession, Tensor } from 'onnxruntime-node';

const model = new URL('../../../model-export/weights/dhnet-edge/', import.meta.url);

export const checkpoint = (): Promise<Uint8Array> => readFile(new URL('checkpoint.safetensors', model));

export async function kernelSession(
  build: 'relaxed' | 'plain' = 'relaxed',
  weights?: Uint8Array,
  memoryMaxBytes = EDGE_SESSION_MEMORY_MAX_BYTES,
): Promise<KernelSession> {
  const wasm = await readFile(new URL(`../../../shared/kernels/wasm/${build}.wasm`, import.meta.url));
  return KernelSession.create(await WebAssembly.compile(wasm), weights ?? (await checkpoint()), memoryMaxBytes);
}

export interface Reference {
  run(data: Uint8Array, width: number, height: number): Promise<Uint8Array>;
}

export async function referenceSession(): Promise<Reference> {
  const manifest = manifestSchema.parse(JSON.parse(await readFile(new URL('manifest.json', model), 'utf8')));
  const { file, input, output } = variantOf(manifest, 'uint8');
  const session = await InferenceSession.create(await readFile(new URL(file, model)), { intraOpNumThreads: 1 });
  return {
    run: async (data, width, height) => {
      const results = await session.run({ [input.name]: new Tensor('uint8', data, [1, height, width, 3]) });
      return results[output.name]!.data as Uint8Array;
    },
  };
}

/** The largest difference of two samples at the same place. */
export function largestDifference(a: Uint8Array, b: Uint8Array): number {
  if (a.length !== b.length) throw new Error(`${a.length} samples beside ${b.length}`);
  return a.reduce((largest, sample, i) => Math.max(largest, Math.abs(sample - b[i]!)), 0);
}
