/** What the fidelity suite needs of a placement, and pictures that went through it. */
import { readImageHeader, type ImageFormat, type ImageHeader } from '@deblur/shared/image-header/index.ts';
import { readMetadata, type Metadata } from '@deblur/shared/metadata/index.ts';
import type { EncodeOptions } from '@deblur/shared/protocol/options.ts';
import type { RawImage } from '@deblur/shared/pixels/raw-image.ts';
import type { TilingOptions } from '@deblur/shared/pixels/tiling.ts';
import { fidelityFile } from './fidelity-files.ts';

export type FidelityOutcome =
  { readonly status: 'ok'; readonly bytes: Uint8Array } | { readonly status: 'error'; readonly code: string };

export interface FidelityPlacement {
  readonly name: string;
  /** Hands a file in as a caller would. Left-out options: PNG, quality 90, metadata kept. */
  restore(bytes: Uint8Array, options: Partial<EncodeOptions>): Promise<FidelityOutcome>;
  /** Stored pixels, no profile and no orientation applied; by a decoder of the runtime that the suite runs in. */
  decode(bytes: Uint8Array, header: ImageHeader): Promise<RawImage>;
  /** Of the model that restores. */
  readonly tiling: TilingOptions;
  readonly carries: {
    readonly formats: readonly ImageFormat[];
    readonly sixteenBit: boolean;
    readonly cmyk: boolean;
    readonly avif: boolean;
  };
}

export interface Picture {
  readonly header: ImageHeader;
  readonly image: RawImage;
  readonly metadata: Metadata;
}

export class FidelitySession {
  readonly #placement: FidelityPlacement;

  constructor(placement: FidelityPlacement) {
    this.#placement = placement;
  }

  get tiling(): TilingOptions {
    return this.#placement.tiling;
  }

  async restoredBytes(source: Uint8Array, options: Partial<EncodeOptions> = {}): Promise<Uint8Array> {
    const outcome = await this.#placement.restore(source, options);
    if (outcome.status === 'error') throw new Error(`refused with ${outcome.code}`);
    return outcome.bytes;
  }

  async restored(name: string, options: Partial<EncodeOptions> = {}): Promise<Picture> {
    return this.open(await this.restoredBytes(fidelityFile(name), options));
  }

  async open(bytes: Uint8Array): Promise<Picture> {
    const header = readImageHeader(bytes);
    return {
      header,
      image: await this.#placement.decode(bytes, header),
      metadata: await readMetadata(bytes, header.format),
    };
  }

  async refusal(source: Uint8Array, options: Partial<EncodeOptions> = {}): Promise<string> {
    const outcome = await this.#placement.restore(source, options);
    return outcome.status === 'error' ? outcome.code : 'restored';
  }
}
