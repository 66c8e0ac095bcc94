/**
 * The names of stored pictures. A RestorationKey names one inference and its lossless master; a ResultKey names encoded
 * bytes made from that master; a SourceKey names an upload. Each is an HMAC by the operator's RESULT_KEY_SECRET: nobody
 * computes a name from a picture, and another secret is a cold cache. Equal keys mean equal bytes on one placement, so what
 * a key names can be cached for ever.
 */
import type { EncodeOptions, ModelName, WorkingScale } from './options.ts';

/** Raise it whenever decoding, tiling, blending or encoding change the bytes that come out. */
export const PIPELINE_VERSION = 2;

export interface Restoration {
  /** Whose results these are: nobody else finds them by asking for the same restoration. */
  readonly scope: string;
  /** SHA-256 of the uploaded bytes, hexadecimal. */
  readonly sourceDigest: string;
  readonly model: ModelName;
  /** The manifest's version: changes with the weights or the graph. */
  readonly modelVersion: string;
  /** Tile size in pixels when the caller set one: it changes pixels, so it is part of the name. */
  readonly tile?: number | undefined;
  /** When the caller asked for another placement than the picture's own. */
  readonly placement?: 'runner' | undefined;
  /** As it was asked for. */
  readonly workingScale?: WorkingScale | undefined;
}

export interface ResultOptions extends EncodeOptions {
  /** Share of the change that is applied, 0 to 1. */
  readonly strength?: number | undefined;
}

/** Quality means nothing to a lossless format, so it does not split its cache. */
export function canonicalEncoding(options: EncodeOptions): EncodeOptions {
  return options.format === 'png' ? { ...options, quality: 100 } : options;
}

const ALGORITHM = { name: 'HMAC', hash: 'SHA-256' };

export class PictureKeys {
  readonly #secret: string;
  #imported: Promise<CryptoKey> | undefined;

  constructor(secret: string) {
    this.#secret = secret;
  }

  /** @param digest SHA-256 of the bytes, hexadecimal */
  source(scope: string, digest: string): Promise<string> {
    return this.#hmac('source', scope, digest);
  }

  restoration(restoration: Restoration): Promise<string> {
    const { scope, sourceDigest, model, modelVersion, tile = '', workingScale = 'auto', placement } = restoration;
    const version = `pipeline=${PIPELINE_VERSION}`;
    const asked = [tile, workingScale, ...(placement === undefined ? [] : [placement])];
    return this.#hmac('restoration', scope, sourceDigest, model, modelVersion, version, ...asked);
  }

  result(restorationKey: string, options: ResultOptions): Promise<string> {
    const { format, quality, metadata } = canonicalEncoding(options);
    return this.#hmac('result', restorationKey, format, quality, metadata, options.strength ?? 1);
  }

  /** 64 hexadecimal digits. JSON keeps the parts apart, whatever characters they have. */
  async #hmac(...parts: readonly (string | number)[]): Promise<string> {
    const encoder = new TextEncoder();
    this.#imported ??= crypto.subtle.importKey('raw', encoder.encode(this.#secret), ALGORITHM, false, ['sign']);
    const mac = await crypto.subtle.sign('HMAC', await this.#imported, encoder.encode(JSON.stringify(parts)));
    return Array.from(new Uint8Array(mac), (byte) => byte.toString(16).padStart(2, '0')).join('');
  }
}
