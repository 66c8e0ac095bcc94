import type { Colour } from './colour.ts';

/** Pixels per inch or centimetre, as whole numbers. */
export interface Density {
  readonly x: number;
  readonly y: number;
  readonly unit: 'inch' | 'centimetre';
}

/** What describes a picture besides its pixels, free of any container. */
export interface Metadata {
  /** The TIFF structure, without a prefix. */
  readonly exif?: Uint8Array;
  /** An ICC profile. */
  readonly icc?: Uint8Array;
  /** An XMP packet, UTF-8. */
  readonly xmp?: Uint8Array;
  /** IPTC-IIM records. */
  readonly iptc?: Uint8Array;
  /** The comment of a JPEG or PNG, in whatever encoding its writer used. */
  readonly comment?: Uint8Array;
  readonly density?: Density;
  /** What the numbers mean, where the file says it without a profile; sRGB is left unsaid. */
  readonly colour?: Colour;
}

/** The same, while it is being collected. */
export type MetadataDraft = { -readonly [Key in keyof Metadata]: Metadata[Key] };
