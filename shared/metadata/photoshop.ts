/**
 * IPTC-IIM records in Photoshop's image resources (Adobe Photoshop File Formats, "Image Resource Blocks"). Other resources are left
 * behind: they hold thumbnails of the blurred picture, and paths and layers that the result does not have.
 */
import { ByteView } from '../image-header/byte-view.ts';
import { concat, latin1, u16be, u32be } from './bytes.ts';

export const PHOTOSHOP = 'Photoshop 3.0\0';

const RESOURCE = '8BIM';
const IPTC_ID = 0x0404;
const MAX_RESOURCES = 1_000;

/** @param block resources one after the other. Undefined without IPTC, or when they are broken before it. */
export function iptcOf(block: Uint8Array): Uint8Array | undefined {
  const view = new ByteView(block);
  let at = 0;
  for (let count = 0; count < MAX_RESOURCES && view.has(at, RESOURCE) && at + 12 <= block.length; count++) {
    const id = view.u16(at + 4);
    // A name of the length in its first byte, padded to an even number with it.
    const nameBytes = 1 + view.u8(at + 6);
    const sizeAt = at + 6 + nameBytes + (nameBytes % 2);
    if (sizeAt + 4 > block.length) return undefined;
    const size = view.u32(sizeAt);
    if (sizeAt + 4 + size > block.length) return undefined;
    if (id === IPTC_ID) return size === 0 ? undefined : view.slice(sizeAt + 4, size);
    at = sizeAt + 4 + size + (size % 2);
  }
  return undefined;
}

export function iptcResource(iptc: Uint8Array): Uint8Array {
  const padding = new Uint8Array(iptc.length % 2);
  return concat([latin1(RESOURCE), u16be(IPTC_ID), Uint8Array.of(0, 0), u32be(iptc.length), iptc, padding]);
}

/** Keyword of a PNG's text chunk. */
export const RAW_IPTC_KEYWORD = 'Raw profile type iptc';

/** The text in which ImageMagick and ExifTool keep it in a PNG: name, length and hexadecimal digits, 72 in a line. */
export function rawProfileOf(iptc: Uint8Array): Uint8Array {
  const resource = iptcResource(iptc);
  const digits = Array.from(resource, (byte) => byte.toString(16).padStart(2, '0')).join('');
  const lines = digits.match(/.{1,72}/g) ?? [];
  return latin1(`\niptc\n${String(resource.length).padStart(8)}\n${lines.join('\n')}\n`);
}

/** The reverse. Undefined for text of another form. */
export function iptcOfRawProfile(text: Uint8Array): Uint8Array | undefined {
  const words = new TextDecoder('latin1').decode(text).trim().split('\n');
  if (words[0]?.trim() !== 'iptc') return undefined;
  const digits = words.slice(2).join('').replace(/\s/g, '');
  const resource = Uint8Array.from(digits.match(/[0-9a-f]{2}/gi) ?? [], (byte) => Number.parseInt(byte, 16));
  return iptcOf(resource);
}
