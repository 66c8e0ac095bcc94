/** The work of the codec processes for the picture threads, and the message that asks for it. */
import type { Metadata } from '@deblur/shared/metadata/index.ts';
import type { ImageCodec } from '@deblur/shared/pixels/ports.ts';

export interface CodecSteps extends ImageCodec {
  avifFromPng(png: Uint8Array, carried: Metadata, quality: number): Promise<Uint8Array>;
}

export type CodecRequest = {
  [Step in keyof CodecSteps]: { readonly step: Step; readonly args: Parameters<CodecSteps[Step]> };
}[keyof CodecSteps];
