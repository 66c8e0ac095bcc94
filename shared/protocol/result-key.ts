/**
 * The two content addresses. A RestorationKey names one inference and its lossless master; a ResultKey names encoded
 * bytes made from that master. Equal keys mean equal bytes on one placement, so a key can be cached for ever.
 */
import { sha256Hex } from '../net/digest.ts';
import type { EncodeOptions, ModelName } from './options.ts';

/** Raise it whenever decoding, tiling, blending or encoding change the bytes that come out. */
export const PIPELINE_VERSION = 2;

export interface Restoration {
  /** SHA-256 of the uploaded bytes, hexadecimal. */
  readonly sourceDigest: string;
  readonly model: ModelName;
  /** The manifest's version: changes with the weights or the graph. */
  readonly modelVersion: string;
  /** Tile size in pixels when the caller set one: it changes pixels, so it is part of the name. */
  readonly tile?: number | undefined;
}

export function restorationKey(restoration: Restoration): Promise<string> {
  const { sourceDigest, model, modelVersion, tile } = restoration;
  return sha256Hex(
    ['restoration', sourceDigest, model, modelVersion, `pipeline=${PIPELINE_VERSION}`, `tile=${tile ?? ''}`].join('\n'),
  );
}

/** Quality means nothing to a lossless format, so it does not split its cache. */
export function canonicalEncoding(options: EncodeOptions): EncodeOptions {
  return options.format === 'png' ? { ...options, quality: 100 } : options;
}

export function resultKey(restoration: string, options: EncodeOptions): Promise<string> {
  const { format, quality, metadata } = canonicalEncoding(options);
  return sha256Hex(['result', restoration, format, `quality=${quality}`, `metadata=${metadata}`, 'width='].join('\n'));
}
