/**
 * The smallest files with real headers: what the gateway reads of a picture. Their pixels are noise that no decoder would
 * take, because behind the gateway nothing decodes them here.
 */
import { crc32 } from '@deblur/shared/image-header/png.ts';

let seed = 0;

export interface PictureOptions {
  readonly width?: number;
  readonly height?: number;
  /** Of the data behind the header. */
  readonly bytes?: number;
}

export interface PngOptions extends PictureOptions {
  readonly depth?: 8 | 16;
}

/** Another picture each time. */
export function png({ width = 8, height = 8, bytes = 32, depth = 8 }: PngOptions = {}): Uint8Array<ArrayBuffer> {
  const ihdr = [...u32(width), ...u32(height), depth, 2, 0, 0, 0];
  return concat(
    ascii('\x89PNG\r\n\x1a\n'),
    chunk('IHDR', Uint8Array.from(ihdr)),
    chunk('IDAT', noise(bytes)),
    chunk('IEND'),
  );
}

export interface JpegOptions extends PictureOptions {
  /** 4: CMYK. */
  readonly components?: 1 | 3 | 4;
  /** Segments of 64 KiB before the header. */
  readonly segments?: number;
}

export function jpeg({
  width = 8,
  height = 8,
  bytes = 32,
  components = 3,
  segments = 0,
}: JpegOptions = {}): Uint8Array<ArrayBuffer> {
  const frame = [8, ...u16(height), ...u16(width), components, ...Array.from({ length: components * 3 }, (_, i) => i)];
  const comment = segment(0xfe, noise(65_533));
  return concat(
    Uint8Array.of(0xff, 0xd8),
    ...Array.from({ length: segments }, () => comment),
    segment(0xc0, Uint8Array.from(frame)),
    segment(0xda, Uint8Array.of(0)),
    noise(bytes),
    Uint8Array.of(0xff, 0xd9),
  );
}

/** VP8L, or with `animated` a container of two frames. */
export function webp({ width = 8, height = 8, animated = false } = {}): Uint8Array<ArrayBuffer> {
  const bits = (width - 1) | ((height - 1) << 14);
  const still = riff('VP8L', concat(Uint8Array.of(0x2f), u32(bits).reverse(), noise(27)));
  const canvas = riff('VP8X', Uint8Array.of(2, 0, 0, 0, width - 1, 0, 0, height - 1, 0, 0));
  const moving = concat(canvas, riff('ANMF', new Uint8Array(16)), riff('ANMF', new Uint8Array(16)));
  const body = concat(ascii('WEBP'), animated ? moving : still);
  return concat(ascii('RIFF'), u32(body.length).reverse(), body);
}

/** Grey, in one strip, with its directory behind the pixels, as libtiff writes it. */
export function tiff({ width = 8, height = 8 }: PictureOptions = {}): Uint8Array<ArrayBuffer> {
  const pixels = width * height;
  const entries = [
    [256, width],
    [257, height],
    [258, 8],
    [262, 1],
    [273, 8],
    [277, 1],
    [279, pixels],
  ] as const;
  const directory = entries.map(([tag, value]) => concat(u16(tag), u16(4), u32(1), u32(value)));
  return concat(ascii('MM\0*'), u32(8 + pixels), noise(pixels), concat(u16(entries.length), ...directory, u32(0)));
}

export function animatedGif(): Uint8Array<ArrayBuffer> {
  const image = Uint8Array.of(0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x4c, 1, 0);
  return concat(ascii('GIF89a'), Uint8Array.of(1, 0, 1, 0, 0, 0, 0), image, image, Uint8Array.of(0x3b));
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** A body without a length, in chunks. */
export function streamOf(bytes: Uint8Array, chunkBytes = 65_536): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at < bytes.length) controller.enqueue(bytes.slice(at, (at += chunkBytes)));
      else controller.close();
    },
  });
}

/** Never the same twice; zeros behind the first bytes, because megabytes of noise take seconds to make. */
function noise(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  new DataView(bytes.buffer).setUint32(Math.min(4, length - 4), ++seed);
  return bytes;
}

function chunk(type: string, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  const named = concat(ascii(type), data);
  return concat(u32(data.length), named, u32(crc32(named)));
}

function segment(marker: number, data: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(0xff, marker), u16(data.length + 2), data);
}

function riff(type: string, data: Uint8Array): Uint8Array {
  return concat(ascii(type), u32(data.length).reverse(), data);
}

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));
const u16 = (value: number): Uint8Array => Uint8Array.of(value >>> 8, value & 255);
const u32 = (value: number): Uint8Array =>
  Uint8Array.of(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
