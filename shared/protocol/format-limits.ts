/** How large a picture each format can hold: known before any work, so that no restoration ends in an encoder's refusal. */
import { formatCannotHold } from './errors.ts';
import type { OutputFormat } from './options.ts';

export interface PictureSize {
  /** In pixels, upright or not: the limits are the same for both sides. */
  readonly width: number;
  readonly height: number;
}

/**
 * Pixels on a side. JPEG: libjpeg's JPEG_MAX_DIMENSION. WebP: 14 bits (RFC 6386 § 9.1). AVIF: libheif's encoder, measured. PNG: 31 bits
 * (PNG, third edition, § 11.2.1).
 */
export const FORMAT_MAX_SIDE_PIXELS: Readonly<Record<OutputFormat, number>> = {
  jpeg: 65_500,
  png: 2 ** 31 - 1,
  webp: 16_383,
  avif: 16_384,
};

export function formatHolds(format: OutputFormat, { width, height }: PictureSize): boolean {
  return Math.max(width, height) <= FORMAT_MAX_SIDE_PIXELS[format];
}

/** @throws {DeblurError} `invalid_option` when the picture is too large for the format */
export function assertFormatHolds(format: OutputFormat, size: PictureSize): void {
  if (formatHolds(format, size)) return;
  throw formatCannotHold(format, FORMAT_MAX_SIDE_PIXELS[format]);
}
