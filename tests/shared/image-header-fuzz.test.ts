import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import { HeaderIncomplete, readImageHeader, type ImageFormat } from '@deblur/shared/image-header/index.ts';
import { carriedMetadata, cleanExif, readMetadata, writeMetadata } from '@deblur/shared/metadata/index.ts';
import type { Sharp } from 'sharp';
import { describe, expect, it } from 'vitest';
import { jpegOfScans, tiffWithTileOf } from '../suites/bombs.ts';
import { bmff } from './support/containers.ts';
import { bytesOf, join, photo, u32be } from './support/pictures.ts';
import { below, randomFrom } from './support/random.ts';

const SIZE = { width: 640, height: 480 };
const ROUNDS = 1500;

/** With every kind of metadata, so that its structures are hit as well. */
const described = (): Sharp =>
  photo(16, 16)
    .withMetadata({ orientation: 6 })
    .withIccProfile('srgb')
    .withXmp('<x:xmpmeta xmlns:x="adobe:ns:meta/"/>');

const SEEDS: readonly (readonly [string, () => Promise<Uint8Array>])[] = [
  ['jpeg', () => bytesOf(described().jpeg())],
  ['jpeg CMYK', () => bytesOf(photo(16, 16).toColourspace('cmyk').jpeg())],
  ['png', () => bytesOf(described().png())],
  ['png palette', () => bytesOf(photo(16, 16).ensureAlpha(0.5).png({ palette: true }))],
  ['webp', () => bytesOf(described().ensureAlpha(0.5).webp())],
  ['webp lossless', () => bytesOf(photo(16, 16).webp({ lossless: true }))],
  ['avif', () => bytesOf(described().ensureAlpha(0.5).avif({ effort: 0 }))],
  ['avif structure', async () => bmff({ grid: true, alpha: true, transforms: [['irot', [1]]] })],
  ['tiff', () => bytesOf(described().tiff({ compression: 'deflate' }))],
  ['tiff pyramid', () => bytesOf(photo(64, 64).tiff({ tile: true, pyramid: true, tileWidth: 16, tileHeight: 16 }))],
  ['gif', () => bytesOf(photo(16, 16).gif())],
];

/** Bytes that parsers take for lengths, counts and ends. */
const TELLING = [0, 1, 2, 4, 8, 0x7f, 0x80, 0xd9, 0xda, 0xe1, 0xfe, 0xff];

function mutate(file: Uint8Array, random: () => number): Uint8Array {
  let out: Uint8Array = file.slice();
  for (let n = 1 + below(random, 12); n > 0; n--) {
    // Most of the structure lies at the beginning, a TIFF's at the end.
    const span = random() < 0.7 ? Math.min(out.length, 400) : out.length;
    const at = random() < 0.2 ? out.length - 1 - below(random, span) : below(random, span);
    const value = random() < 0.5 ? TELLING[below(random, TELLING.length)]! : below(random, 256);
    const kind = random();
    if (kind < 0.75) out[at] = value;
    else if (kind < 0.85) out.copyWithin(at, below(random, out.length), below(random, out.length));
    else if (kind < 0.93)
      out = join(out.subarray(0, at), out.subarray(Math.min(out.length, at + 1 + below(random, 40))));
    else out = join(out.subarray(0, at), [value, value, value], out.subarray(at));
    if (out.length === 0) out = file.slice();
  }
  return out;
}

function header(file: Uint8Array, complete: boolean): void {
  try {
    const { width, height, channels, orientation } = readImageHeader(file, { complete });
    expect(width >= 1 && height >= 1 && Number.isInteger(width) && Number.isInteger(height)).toBe(true);
    expect(channels >= 1 && channels <= 4 && orientation >= 1 && orientation <= 8).toBe(true);
  } catch (error) {
    if (error instanceof DeblurError && /^(image_|unsupported_media_type)/.test(error.code)) return;
    if (!complete && error instanceof HeaderIncomplete) return;
    throw error;
  }
}

describe('any bytes', () => {
  it.each(SEEDS)('are read or refused: %s', async (name, make) => {
    const file = await make();
    const random = randomFrom(name.length * 7919);
    const format = name.split(' ')[0] as ImageFormat;
    for (let round = 0; round < ROUNDS; round++) {
      const mutated = mutate(file, random);
      header(mutated, true);
      header(mutated.subarray(0, below(random, mutated.length)), false);
      if (round % 5 !== 0) continue;
      const metadata = await readMetadata(mutated, format);
      carriedMetadata(metadata, 'keep', { convertedToRgb: false, format: 'png', channels: 3, size: SIZE });
      if (format !== 'jpeg' && format !== 'png' && format !== 'webp') continue;
      await writeMetadata(mutated, format, { exif: Uint8Array.of(1, 2, 3) }).catch((error: unknown) => {
        expect(error).toBeInstanceOf(DeblurError);
      });
    }
  });

  it('are read or refused: noise behind each signature', () => {
    const signatures = [
      '\xff\xd8\xff',
      '\x89PNG\r\n\x1a\n',
      'RIFF\xff\0\0\0WEBP',
      '\0\0\0\x18ftypavif',
      'II*\0',
      'MM\0*',
      'GIF89a',
    ];
    const random = randomFrom(42);
    for (const signature of signatures) {
      for (let round = 0; round < 500; round++) {
        const tail = Uint8Array.from({ length: below(random, 300) }, () => below(random, 256));
        header(join(signature, tail), true);
        header(join(signature, tail), false);
      }
    }
  });

  it('are EXIF, or undefined', async () => {
    const { exif } = await readMetadata(await bytesOf(described().jpeg()), 'jpeg');
    const random = randomFrom(5);
    for (let round = 0; round < 5000; round++) {
      const cleaned = cleanExif(mutate(exif!, random), SIZE);
      if (cleaned !== undefined) expect(cleaned.length).toBeGreaterThanOrEqual(14);
    }
  });
});

/** Small files that claim enormous work. Each would run for minutes, or out of memory, in a careless parser. */
describe('bombs of structure', () => {
  const le = (value: number): Uint8Array => u32be(value).reverse();
  const entry = (tag: number, type: number, count: number, value: number): Uint8Array =>
    join([tag & 255, tag >> 8, type, 0], le(count), le(value));

  it('a JPEG of more scans than any encoder writes, each of two bytes', () => {
    expect(readImageHeader(jpegOfScans(99))).toMatchObject({ width: 1024, height: 1024 });
    expect(() => readImageHeader(jpegOfScans(100))).toThrow('more than 100 scans');
  });

  it('a TIFF of one pixel in an enormous tile', () => {
    expect(() => readImageHeader(tiffWithTileOf(65_536))).toThrow('image_undecodable');
    expect(() => readImageHeader(tiffWithTileOf(65_536), { complete: false })).toThrow('image_undecodable');
  });

  it('EXIF whose every entry covers the whole block', () => {
    const count = 4_000;
    const size = 4_000_000;
    const entries = Array.from({ length: count }, () => entry(1, 1, size - 10, 8));
    const start = join('II*\0', le(8), [count & 255, count >> 8], ...entries, le(0));
    expect(cleanExif(join(start, new Uint8Array(size - start.length)), SIZE)?.length).toBe(size);
  });

  it('EXIF with more entries than any camera writes is dropped', () => {
    const entries = Array.from({ length: 5_000 }, () => entry(1, 1, 1, 8));
    expect(cleanExif(join('II*\0', le(8), [5_000 & 255, 5_000 >> 8], ...entries, le(0)), SIZE)).toBeUndefined();
  });

  it('EXIF whose thumbnail has a million strips', () => {
    const strips = 900_000;
    const second = 8 + 2 + 4;
    const data = second + 2 + 24 + 4;
    const ifd1 = join([2, 0], entry(273, 4, strips, data), entry(279, 4, strips, data), le(0));
    const exif = join('II*\0', le(8), [0, 0], le(second), ifd1, new Uint8Array(strips * 4));
    const cleaned = cleanExif(exif, SIZE);
    if (cleaned !== undefined) expect(cleaned.length).toBeLessThanOrEqual(exif.length);
  });

  it('a TIFF with four thousand million strips', () => {
    const tags = [
      entry(256, 4, 1, 9),
      entry(257, 4, 1, 9),
      entry(262, 3, 1, 1),
      entry(273, 4, 0xffffffff, 8),
      entry(279, 4, 0xffffffff, 8),
    ];
    const file = join('II*\0', le(8), [tags.length, 0], ...tags, le(0));
    expect(() => readImageHeader(file)).toThrow('image_truncated');
  });

  it('a PNG, a WebP and a GIF of a million empty pieces', async () => {
    const png = await bytesOf(photo(8, 8).png());
    const chunk = join(u32be(0), 'abCd', u32be(0));
    const many = Buffer.concat([
      png.subarray(0, 33),
      ...new Array<Uint8Array>(1_000_000).fill(chunk),
      png.subarray(33),
    ]);
    expect(() => readImageHeader(many)).toThrow('image_undecodable');
    const riff = Buffer.concat(new Array<Uint8Array>(1_000_000).fill(join('abcd', le(0))));
    const webp = Buffer.concat([join('RIFF', le(riff.length + 22), 'WEBPVP8X', le(10), new Uint8Array(10)), riff]);
    expect(() => readImageHeader(webp)).toThrow('image_undecodable');
    const gif = Buffer.concat([join('GIF89a', new Uint8Array(7)), Buffer.alloc(3_000_000, '\x21\xfe\x00', 'latin1')]);
    expect(() => readImageHeader(gif)).toThrow('unsupported_media_type');
  });

  it('a JPEG of nothing but fill bytes, and one of nothing but markers', () => {
    for (const fill of ['\xff', '\xff\x01', '\x00', '\xff\xe0\x00\x02']) {
      const file = Buffer.concat([join('\xff\xd8\xff\xe0\x00\x02'), Buffer.alloc(8_000_000, fill, 'latin1')]);
      expect(() => readImageHeader(file)).toThrow(/image_(truncated|undecodable)/);
    }
  });
});
