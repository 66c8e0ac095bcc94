/** Edge or GPU: pure functions of what is asked, so that a table can test them. */
import type { ImageHeader } from '@deblur/shared/image-header/index.ts';
import { EDGE_MAX_PIXELS, EDGE_SOURCE_MAX_BYTES } from '@deblur/shared/limits.ts';
import type { OutputFormat } from '@deblur/shared/protocol/options.ts';
import type { Placement } from '../results/stored-result.ts';

export interface PlacementQuestion {
  readonly header: Pick<ImageHeader, 'format' | 'width' | 'height' | 'bitDepth' | 'cmyk'>;
  /** Of the source's file: a small picture may lie in a large one. */
  readonly bytes: number;
  /** Where the model's weights are. */
  readonly placements: readonly Placement[];
  readonly output: OutputFormat;
  readonly tile?: number | undefined;
}

/** What the WASM codecs read. */
const EDGE_INPUTS: readonly ImageHeader['format'][] = ['jpeg', 'png', 'webp'];

/** Where a picture is restored. The edge takes what fits its memory and its codecs; the runner takes everything. */
export function placeRestoration({ header, bytes, placements, output, tile }: PlacementQuestion): Placement {
  const fits =
    placements.includes('edge') &&
    tile === undefined &&
    bytes <= EDGE_SOURCE_MAX_BYTES &&
    !header.cmyk &&
    EDGE_INPUTS.includes(header.format) &&
    edgeEncodes(header, output);
  return fits ? 'edge' : 'runner';
}

/** Where a master, an RGB PNG of the source's size and depth, is encoded once more. */
export function placeEncoding({ header, output }: Pick<PlacementQuestion, 'header' | 'output'>): Placement {
  return edgeEncodes(header, output) ? 'edge' : 'runner';
}

function edgeEncodes(header: PlacementQuestion['header'], output: OutputFormat): boolean {
  return header.width * header.height <= EDGE_MAX_PIXELS && header.bitDepth === 8 && output !== 'avif';
}
