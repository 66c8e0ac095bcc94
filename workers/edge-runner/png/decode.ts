/**
 * PNG → pixels, for 8 bits and less. The runtime's own inflate feeds it line by line, so besides the pixels it holds two
 * lines, and a stream that goes on after the last line is not read.
 */
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import { ByteView } from '@deblur/shared/image-header/byte-view.ts';
import type { ImageHeader } from '@deblur/shared/image-header/index.ts';
import { crc32, pngChunks } from '@deblur/shared/image-header/png.ts';
import { Inflater } from '@deblur/shared/metadata/inflate.ts';
import type { RawImage } from '@deblur/shared/pixels/raw-image.ts';
import { ADAM7, COLOUR, FILTER, paeth, SEQUENTIAL, STORED_CHANNELS } from './layout.ts';

interface PngParts {
  readonly colour: number;
  readonly depth: number;
  readonly interlaced: boolean;
  readonly palette: Uint8Array;
  readonly transparency: Uint8Array;
  /** The pieces of the zlib stream. */
  readonly data: readonly Uint8Array[];
}

/**
 * @param header what readImageHeader said of the same bytes: 8 bits, with size and channels of the result
 * @throws {DeblurError} `image_undecodable`, `image_truncated`
 */
export async function decodePng(bytes: Uint8Array, header: ImageHeader): Promise<RawImage> {
  const parts = readParts(bytes);
  const { width, height, channels } = header;
  const data = new Uint8Array(width * height * channels);
  const expand = expander(parts, channels);
  const stored = (STORED_CHANNELS[parts.colour] ?? 1) * parts.depth;
  const lines = new LineReader(parts.data, Math.ceil(stored / 8));
  try {
    for (const { x0, y0, dx, dy } of parts.interlaced ? ADAM7 : SEQUENTIAL) {
      const columns = Math.ceil((width - x0) / dx);
      if (columns <= 0) continue;
      lines.startPass(Math.ceil((columns * stored) / 8));
      for (let y = y0; y < height; y += dy) {
        expand(await lines.next(), columns, data, (y * width + x0) * channels, dx * channels);
      }
    }
  } finally {
    await lines.close();
  }
  return { width, height, channels, data };
}

function readParts(bytes: Uint8Array): PngParts {
  const view = new ByteView(bytes);
  const data: Uint8Array[] = [];
  let palette = new Uint8Array();
  let transparency = new Uint8Array();
  for (const { type, at, length } of pngChunks(view)) {
    if (type === 'tRNS') transparency = view.slice(at, length).slice();
    if (type !== 'PLTE' && type !== 'IDAT') continue;
    if (crc32(view.slice(at - 4, length + 4)) !== view.u32(at + length)) throw undecodable();
    if (type === 'PLTE') palette = view.slice(at, length).slice();
    else data.push(view.slice(at, length));
  }
  const ihdr = 16;
  return {
    depth: view.u8(ihdr + 8),
    colour: view.u8(ihdr + 9),
    interlaced: view.u8(ihdr + 12) === 1,
    palette,
    transparency,
    data,
  };
}

/** Writes a line's pixels into the result, `step` samples apart. */
type Expander = (line: Uint8Array, pixels: number, out: Uint8Array, at: number, step: number) => void;

function expander({ colour, depth, palette, transparency }: PngParts, channels: number): Expander {
  const stored = STORED_CHANNELS[colour] ?? 1;
  if (colour === COLOUR.palette) return paletteExpander(depth, palette, transparency, channels);
  // A colour that counts as transparent: two bytes a sample, whatever the depth.
  const keyed = channels > stored;
  const direct = depth === 8 && !keyed;
  const key = Array.from({ length: stored }, (_, c) => (keyed ? transparency[2 * c + 1] : undefined));
  const scale = 255 / (2 ** depth - 1);
  return (line, pixels, out, start, step) => {
    if (direct && step === stored) return out.set(line, start);
    for (let x = 0, at = start; x < pixels; x++, at += step) {
      let matches = keyed;
      for (let c = 0; c < stored; c++) {
        const sample = sampleAt(line, x * stored + c, depth);
        out[at + c] = sample * scale;
        matches &&= sample === key[c];
      }
      if (keyed) out[at + stored] = matches ? 0 : 255;
    }
  };
}

function paletteExpander(depth: number, palette: Uint8Array, transparency: Uint8Array, channels: number): Expander {
  return (line, pixels, out, start, step) => {
    for (let x = 0, at = start; x < pixels; x++, at += step) {
      const index = sampleAt(line, x, depth);
      // An index beyond the palette is black, as in libpng.
      for (let c = 0; c < 3; c++) out[at + c] = palette[3 * index + c] ?? 0;
      if (channels === 4) out[at + 3] = transparency[index] ?? 255;
    }
  };
}

/** Sample `index` of a line of 1, 2, 4 or 8 bits a sample, the first in the highest bits (§ 7.2). */
function sampleAt(line: Uint8Array, index: number, depth: number): number {
  if (depth === 8) return line[index]!;
  const bit = index * depth;
  return (line[bit >> 3]! >> (8 - depth - (bit & 7))) & (2 ** depth - 1);
}

/** Inflates and unfilters, one line at a time. */
class LineReader {
  readonly #inflater: Inflater;
  /** Bytes back to the same sample of the pixel to the left; 1 below 8 bits (§ 9.2). */
  readonly #pixelBytes: number;
  #piece = new Uint8Array();
  #at = 0;
  #line = new Uint8Array();
  #above = new Uint8Array();

  constructor(data: readonly Uint8Array[], pixelBytes: number) {
    this.#inflater = new Inflater(data);
    this.#pixelBytes = pixelBytes;
  }

  startPass(lineBytes: number): void {
    this.#line = new Uint8Array(lineBytes);
    this.#above = new Uint8Array(lineBytes);
  }

  /** The next line's bytes, valid until the call after. */
  async next(): Promise<Uint8Array> {
    [this.#line, this.#above] = [this.#above, this.#line];
    const filter = await this.#byte();
    await this.#fill(this.#line);
    unfilter(filter, this.#line, this.#above, this.#pixelBytes);
    return this.#line;
  }

  async close(): Promise<void> {
    await this.#inflater.close();
  }

  async #byte(): Promise<number> {
    if (this.#at === this.#piece.length) await this.#refill();
    return this.#piece[this.#at++]!;
  }

  async #fill(target: Uint8Array): Promise<void> {
    for (let filled = 0; filled < target.length;) {
      if (this.#at === this.#piece.length) await this.#refill();
      const part = this.#piece.subarray(this.#at, this.#at + target.length - filled);
      target.set(part, filled);
      filled += part.length;
      this.#at += part.length;
    }
  }

  async #refill(): Promise<void> {
    const piece = await this.#inflater.read().catch(() => {
      throw undecodable();
    });
    if (piece === undefined) throw new DeblurError('image_truncated', 'The PNG ends before its picture does.');
    this.#piece = piece as Uint8Array<ArrayBuffer>;
    this.#at = 0;
  }
}

/** § 9.2, in place: sums modulo 256, which the array does by itself. */
function unfilter(filter: number, line: Uint8Array, above: Uint8Array, back: number): void {
  switch (filter) {
    case FILTER.none:
      return;
    case FILTER.sub:
      for (let i = back; i < line.length; i++) line[i] = line[i]! + line[i - back]!;
      return;
    case FILTER.up:
      for (let i = 0; i < line.length; i++) line[i] = line[i]! + above[i]!;
      return;
    case FILTER.average:
      for (let i = 0; i < line.length; i++) line[i] = line[i]! + (((line[i - back] ?? 0) + above[i]!) >> 1);
      return;
    case FILTER.paeth:
      for (let i = 0; i < line.length; i++) {
        line[i] = line[i]! + paeth(line[i - back] ?? 0, above[i]!, above[i - back] ?? 0);
      }
      return;
    default:
      throw undecodable();
  }
}

function undecodable(): DeblurError {
  return new DeblurError('image_undecodable', 'The PNG data is broken.');
}
