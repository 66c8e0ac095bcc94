import { tileRefused } from '@deblur/shared/protocol/errors.ts';
import { takesTile, tilingOf, type ModelManifest } from '@deblur/shared/protocol/model-manifest.ts';
import type { TilingOptions } from '@deblur/shared/pixels/tiling.ts';
import type { ExecutionProvider } from '../config.ts';

/**
 * The tiles that a model is given. On a GPU all of them have one shape, that of the warm-up, and a picture with a short side
 * is continued to it: a new shape costs a search for the fastest convolutions, more than the pixels do. On a CPU that is so only
 * for a model of fixed tiles: a CPU searches for nothing, and has more work with more pixels.
 * @param side in pixels instead of the manifest's
 * @throws {DeblurError} `invalid_option` when the model does not take tiles of that side
 */
export function tilingFor(model: ModelManifest, side: number | undefined, provider: ExecutionProvider): TilingOptions {
  if (side !== undefined && !takesTile(model, side)) {
    throw tileRefused(model.name, side);
  }
  const tiling = tilingOf(model, side);
  return provider === 'cpu' ? tiling : { ...tiling, padMultiple: tiling.size };
}
