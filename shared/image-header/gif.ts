/** GIF89a: walked only to count its pictures. */
import { kindNotSupported } from '../protocol/errors.ts';
import { HeaderIncomplete, type ByteView } from './byte-view.ts';
import type { ImageHeader } from './types.ts';

const BLOCK = { extension: 0x21, image: 0x2c } as const;

export function isGif(view: ByteView): boolean {
  return view.has(0, 'GIF87a') || view.has(0, 'GIF89a');
}

/** @throws {DeblurError} `unsupported_media_type` unless there are two pictures or more */
export function readGifHeader(view: ByteView): ImageHeader {
  if (!hasTwoImages(view)) throw kindNotSupported('GIF pictures');
  return {
    format: 'gif',
    width: view.u16(6, true),
    height: view.u16(8, true),
    channels: 4,
    bitDepth: 8,
    cmyk: false,
    animated: true,
    orientation: 1,
  };
}

function hasTwoImages(view: ByteView): boolean {
  try {
    let images = 0;
    let at = 13 + colourTableBytes(view.u8(10));
    for (;;) {
      const block = view.u8(at);
      if (block === BLOCK.extension) {
        at = skipSubBlocks(view, at + 2);
      } else if (block === BLOCK.image) {
        if (++images === 2) return true;
        // Descriptor, local colour table, one byte of LZW code size.
        at = skipSubBlocks(view, at + 10 + colourTableBytes(view.u8(at + 9)) + 1);
      } else {
        return false;
      }
    }
  } catch (error) {
    if (error instanceof HeaderIncomplete) throw error;
    return false;
  }
}

function colourTableBytes(packed: number): number {
  return packed & 0x80 ? 3 << ((packed & 7) + 1) : 0;
}

function skipSubBlocks(view: ByteView, start: number): number {
  let at = start;
  for (let length = view.u8(at); length > 0; length = view.u8(at)) at += 1 + length;
  return at + 1;
}
