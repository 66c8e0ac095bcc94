/** How samples lie in a PNG (PNG, third edition: colour types § 11.2.1, passes § 8.1, filters § 9.2). */
import type { Channels } from '@deblur/shared/pixels/raw-image.ts';

export const COLOUR = { grey: 0, rgb: 2, palette: 3, greyAlpha: 4, rgbAlpha: 6 } as const;

/** Samples of a stored pixel, by colour type. */
export const STORED_CHANNELS: Readonly<Record<number, Channels>> = {
  [COLOUR.grey]: 1,
  [COLOUR.rgb]: 3,
  [COLOUR.palette]: 1,
  [COLOUR.greyAlpha]: 2,
  [COLOUR.rgbAlpha]: 4,
};

/** The pixels x0 + i·dx, y0 + j·dy form a picture of their own within the data. */
export interface Pass {
  readonly x0: number;
  readonly y0: number;
  readonly dx: number;
  readonly dy: number;
}

export const SEQUENTIAL: readonly Pass[] = [{ x0: 0, y0: 0, dx: 1, dy: 1 }];

export const ADAM7: readonly Pass[] = [
  { x0: 0, y0: 0, dx: 8, dy: 8 },
  { x0: 4, y0: 0, dx: 8, dy: 8 },
  { x0: 0, y0: 4, dx: 4, dy: 8 },
  { x0: 2, y0: 0, dx: 4, dy: 4 },
  { x0: 0, y0: 2, dx: 2, dy: 4 },
  { x0: 1, y0: 0, dx: 2, dy: 2 },
  { x0: 0, y0: 1, dx: 1, dy: 2 },
];

export const FILTER = { none: 0, sub: 1, up: 2, average: 3, paeth: 4 } as const;

/** § 9.4: which of left, above and above-left is nearest to left + above − above-left. */
export function paeth(left: number, above: number, aboveLeft: number): number {
  const estimate = left + above - aboveLeft;
  const distanceLeft = Math.abs(estimate - left);
  const distanceAbove = Math.abs(estimate - above);
  const distanceAboveLeft = Math.abs(estimate - aboveLeft);
  if (distanceLeft <= distanceAbove && distanceLeft <= distanceAboveLeft) return left;
  return distanceAbove <= distanceAboveLeft ? above : aboveLeft;
}
