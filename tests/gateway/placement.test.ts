import { EDGE_MAX_PIXELS, EDGE_SOURCE_MAX_BYTES } from '@deblur/shared/limits.ts';
import { describe, expect, it } from 'vitest';
import {
  placeEncoding,
  placeRestoration,
  type PlacementQuestion,
} from '../../workers/gateway/restorations/placement.ts';

const header = { format: 'jpeg', width: 1024, height: 1024, bitDepth: 8, cmyk: false } as const;
const fits: PlacementQuestion = {
  header,
  bytes: EDGE_SOURCE_MAX_BYTES,
  placements: ['edge', 'runner'],
  output: 'jpeg',
};

describe('placeRestoration', () => {
  const table: readonly (readonly [string, Partial<PlacementQuestion>, string])[] = [
    ['a JPEG of exactly the limit', {}, 'edge'],
    ['a PNG', { header: { ...header, format: 'png' } }, 'edge'],
    ['a WebP', { header: { ...header, format: 'webp' } }, 'edge'],
    ['PNG out', { output: 'png' }, 'edge'],
    ['WebP out', { output: 'webp' }, 'edge'],
    ['1×1', { header: { ...header, width: 1, height: 1 } }, 'edge'],
    ['the limit in another shape', { header: { ...header, width: EDGE_MAX_PIXELS, height: 1 } }, 'edge'],
    ['one byte more', { bytes: EDGE_SOURCE_MAX_BYTES + 1 }, 'runner'],
    ['one row more', { header: { ...header, height: 1025 } }, 'runner'],
    ['AVIF in', { header: { ...header, format: 'avif' } }, 'runner'],
    ['TIFF in', { header: { ...header, format: 'tiff' } }, 'runner'],
    ['16 bits', { header: { ...header, format: 'png', bitDepth: 16 } }, 'runner'],
    ['CMYK', { header: { ...header, cmyk: true } }, 'runner'],
    ['AVIF out', { output: 'avif' }, 'runner'],
    ['a tile size', { tile: 256 }, 'runner'],
    ['a model without weights for the edge', { placements: ['runner'] }, 'runner'],
  ];

  it.each(table)('%s → %s', (_, change, expected) => {
    expect(placeRestoration({ ...fits, ...change })).toBe(expected);
  });
});

describe('placeEncoding: of a master, whatever its source was', () => {
  it.each([
    ['CMYK', { ...header, cmyk: true }, 'jpeg', 'edge'],
    ['TIFF', { ...header, format: 'tiff' }, 'webp', 'edge'],
    ['large', { ...header, height: 1025 }, 'jpeg', 'runner'],
    ['16 bits', { ...header, bitDepth: 16 }, 'png', 'runner'],
    ['AVIF out', header, 'avif', 'runner'],
  ] as const)('%s', (_, of, output, expected) => {
    expect(placeEncoding({ header: of, output })).toBe(expected);
  });
});
