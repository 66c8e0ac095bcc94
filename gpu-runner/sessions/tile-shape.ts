import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import type { ModelManifest } from '@deblur/shared/protocol/model-manifest.ts';
import type { TilingOptions } from '@deblur/shared/pixels/tiling.ts';
import type { ExecutionProvider } from '../config.ts';

/**
 * The tiles that a model is given. On a GPU all of them have one shape, that of the warm-up, and a picture with a short side
 * is continued to it: a new shape costs a search for the fastest convolutions, more than the pixels do. A CPU searches for
 * nothing, and has more work with more pixels.
 * @param side in pixels instead of the manifest's
 * @throws {DeblurError} `invalid_option` when the model does not take tiles of that side
 */
export function tilingFor(
  { name, tile, pad_multiple: padMultiple }: ModelManifest,
  side: number | undefined,
  provider: ExecutionProvider,
): TilingOptions {
  const size = side ?? tile.size;
  if (size < 3 * tile.overlap || size % padMultiple !== 0) {
    throw new DeblurError('invalid_option', `tile: ${name} does not take tiles of ${size} pixels`);
  }
  return { size, overlap: tile.overlap, padMultiple: provider === 'cpu' ? padMultiple : size };
}
