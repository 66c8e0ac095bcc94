import type { Channels } from '../pixels/raw-image.ts';

/** Formats whose signature is recognised. GIF only to say clearly that it is animated or not supported. */
export type ImageFormat = 'jpeg' | 'png' | 'webp' | 'avif' | 'heic' | 'tiff' | 'gif';

/** What the headers of a file say, without a pixel decoded. */
export interface ImageHeader {
  readonly format: ImageFormat;
  /** Pixels as a decoder hands them over, before `orientation`. The decoders of AVIF and HEIC turn them themselves, so there it is after. */
  readonly width: number;
  readonly height: number;
  /** Of the decoded RawImage: palettes are expanded, `tRNS` counts as alpha, CMYK becomes RGB. */
  readonly channels: Channels;
  /** Of the decoded samples: 1, 2 and 4 bits become 8; anything above 8 becomes 16. */
  readonly bitDepth: 8 | 16;
  readonly cmyk: boolean;
  /** More than one picture: frames, or pages of a TIFF. */
  readonly animated: boolean;
  /** EXIF orientation 1..8 that is still to be applied; 1 when absent or broken. */
  readonly orientation: number;
  /** The stored colours are multiplied with alpha: decoders leave them so, and they are still to be divided. */
  readonly premultiplied?: true;
}
