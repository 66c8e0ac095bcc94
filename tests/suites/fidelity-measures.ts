/** How alike two pictures are, and what shows where tiles meet. */
import { hasAlpha, type RawImage } from '@deblur/shared/pixels/raw-image.ts';
import type { AxisPlan } from '@deblur/shared/pixels/tiling.ts';

/** In dB; alpha does not count. */
export function psnr(a: RawImage, b: RawImage): number {
  if (a.width !== b.width || a.height !== b.height) throw new Error('pictures of different sizes');
  let sum = 0;
  const pixels = a.width * a.height;
  for (let p = 0; p < pixels; p++) {
    for (let c = 0; c < 3; c++) sum += (colour(a, p, c) - colour(b, p, c)) ** 2;
  }
  return 10 * Math.log10(255 ** 2 / (sum / (3 * pixels)));
}

/** Channel 0..2 of a pixel; grey counts as all three. */
function colour({ channels, data }: RawImage, pixel: number, channel: number): number {
  return data[pixel * channels + (channels >= 3 ? channel : 0)]!;
}

export function alphaOf({ channels, data }: RawImage): readonly number[] {
  if (!hasAlpha(channels)) return [];
  return Array.from({ length: data.length / channels }, (_, p) => data[(p + 1) * channels - 1]!);
}

/**
 * How much the restoration changed the step from each line (or column) to the next, averaged along it: a seam would be
 * a step that the picture did not have. Entry i is the step from i - 1 to i.
 */
export function addedSteps(before: RawImage, after: RawImage, axis: 'x' | 'y'): readonly number[] {
  const { width, height, channels } = after;
  const [length, across] = axis === 'x' ? [width, height] : [height, width];
  const at = (i: number, j: number): number => (axis === 'x' ? j * width + i : i * width + j) * channels;
  const change = (index: number): number => after.data[index]! - before.data[index]!;
  return Array.from({ length }, (_, i) => {
    if (i === 0) return 0;
    let sum = 0;
    for (let j = 0; j < across; j++) sum += change(at(i, j)) - change(at(i - 1, j));
    return Math.abs(sum / across);
  });
}

/** Largest step where tiles meet, and in the rest of the picture. */
export function largest(
  steps: readonly number[],
  { rampStarts, overlap }: AxisPlan,
): { seam: number; elsewhere: number } {
  const isSeam = (i: number): boolean => rampStarts.some((start) => i >= start && i <= start + overlap);
  return {
    seam: Math.max(0, ...steps.filter((_, i) => isSeam(i))),
    elsewhere: Math.max(0, ...steps.filter((_, i) => !isSeam(i))),
  };
}
