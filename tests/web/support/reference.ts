/** What onnxruntime-node makes of a picture, through the same shared code: what the browser is held to. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { manifestSchema, variantOf, type VariantId } from '@deblur/shared/protocol/model-manifest.ts';
import type { Tile, TileSession } from '@deblur/shared/pixels/ports.ts';
import type { RawImage } from '@deblur/shared/pixels/raw-image.ts';
import { restoreImage } from '@deblur/shared/pixels/restore.ts';
import { InferenceSession, Tensor } from 'onnxruntime-node';

const folder = fileURLToPath(new URL('../../../model-export/weights/dhnet-edge', import.meta.url));

/** @param id the variant; the page has the same weights, and not every variant */
export async function restoreInNode(image: RawImage, id: VariantId): Promise<RawImage> {
  const manifest = manifestSchema.parse(JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')));
  const variant = variantOf(manifest, id);
  const inference = await InferenceSession.create(join(folder, variant.file), { intraOpNumThreads: 2 });
  const session: TileSession = {
    async run<Samples extends Uint8Array | Float32Array>({ width, height, data }: Tile<Samples>) {
      const feeds = { [variant.input.name]: new Tensor(variant.input.type, data, [1, height, width, 3]) };
      const results = await inference.run(feeds);
      return { width, height, data: results[variant.output.name]!.data as Samples };
    },
  };
  const tiling = { ...manifest.tile, padMultiple: manifest.pad_multiple };
  const { image: restored } = await restoreImage(image, {
    session,
    tiling,
    orientation: 1,
    scale: 'auto',
    samples: id,
  });
  await inference.release();
  return restored;
}
