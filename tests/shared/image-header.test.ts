import { isDeepStrictEqual } from 'node:util';
import { assertPixelLimits, readImageHeader, type ImageHeader } from '@deblur/shared/image-header/index.ts';
import { MAX_PIXELS } from '@deblur/shared/limits.ts';
import sharp, { type Sharp } from 'sharp';
import { describe, expect, it } from 'vitest';
import { bytesOf, join, ORIENTATIONS, photo, u32be } from './support/pictures.ts';
import { withPngChunk } from './support/containers.ts';

const WIDTH = 37;
const HEIGHT = 53;

type Expected = Partial<ImageHeader>;
const rgb = { width: WIDTH, height: HEIGHT, channels: 3, bitDepth: 8, cmyk: false, animated: false, orientation: 1 };
const grey = (): Sharp => photo().toColourspace('b-w');
const alpha = (): Sharp => photo().ensureAlpha(0.5);

/** Half-transparent grey, as one grey and one alpha channel. */
function greyAlpha(bits: 8 | 16): Sharp {
  const data = new (bits === 8 ? Uint8Array : Uint16Array)(WIDTH * HEIGHT * 2).map((_, i) => (i * 7) % 251);
  return sharp(data, { raw: { width: WIDTH, height: HEIGHT, channels: 2 } }).toColourspace(
    bits === 8 ? 'b-w' : 'grey16',
  );
}

const FILES: readonly (readonly [string, () => Sharp, Expected])[] = [
  ['jpeg', () => photo().jpeg(), {}],
  ['jpeg, progressive', () => photo().jpeg({ progressive: true }), {}],
  ['jpeg, 4:4:4', () => photo().jpeg({ chromaSubsampling: '4:4:4' }), {}],
  ['jpeg, grey', () => grey().jpeg(), { channels: 1 }],
  ['jpeg, CMYK', () => photo().toColourspace('cmyk').jpeg(), { cmyk: true }],
  ['jpeg, CMYK with profile', () => photo().withIccProfile('cmyk').jpeg(), { cmyk: true }],
  ['png', () => photo().png(), {}],
  ['png, interlaced', () => photo().png({ progressive: true }), {}],
  ['png, palette', () => photo().png({ palette: true }), {}],
  ['png, palette of 4', () => photo().png({ palette: true, colours: 4 }), {}],
  ['png, palette with tRNS', () => alpha().png({ palette: true }), { channels: 4 }],
  ['png, alpha', () => alpha().png(), { channels: 4 }],
  ['png, grey', () => grey().png(), { channels: 1 }],
  ['png, grey and alpha', () => greyAlpha(8).png(), { channels: 2 }],
  ['png, 16-bit', () => photo().toColourspace('rgb16').png(), { bitDepth: 16 }],
  ['png, 16-bit grey', () => photo().toColourspace('grey16').png(), { bitDepth: 16, channels: 1 }],
  ['webp', () => photo().webp(), {}],
  ['webp, lossless', () => photo().webp({ lossless: true }), {}],
  ['webp, alpha', () => alpha().webp(), { channels: 4 }],
  ['webp, lossless and alpha', () => alpha().webp({ lossless: true }), { channels: 4 }],
  ['avif', () => photo().avif({ effort: 0 }), {}],
  ['avif, alpha', () => alpha().avif({ effort: 0 }), { channels: 4 }],
  ['avif, 10-bit', () => photo().avif({ effort: 0, bitdepth: 10 }), { bitDepth: 16 }],
  ['avif, 12-bit', () => photo().avif({ effort: 0, bitdepth: 12 }), { bitDepth: 16 }],
  ['tiff', () => photo().tiff(), {}],
  ['tiff, grey', () => grey().tiff(), { channels: 1 }],
  ['tiff, 1-bit', () => grey().threshold().tiff({ bitdepth: 1 }), { channels: 1 }],
  ['tiff, alpha', () => alpha().tiff({ compression: 'deflate' }), { channels: 4 }],
  ['tiff, 16-bit', () => photo().toColourspace('rgb16').tiff({ compression: 'none' }), { bitDepth: 16 }],
  ['tiff, CMYK', () => photo().toColourspace('cmyk').tiff({ compression: 'lzw' }), { cmyk: true }],
  ['tiff, tiles', () => photo().tiff({ tile: true, tileWidth: 16, tileHeight: 16 }), {}],
  ['tiff, big TIFF tags in JPEG', () => photo().tiff({ compression: 'jpeg' }), {}],
];

/** Lengths to cut a file to: each of the first ones and of the last ones, and some between. */
function cuts(length: number): number[] {
  const step = Math.ceil(length / 500);
  const all = Array.from({ length }, (_, i) => i);
  return all.filter((n) => n < 700 || n > length - 300 || n % step === 0);
}

function isUnharmed(file: Uint8Array, whole: ImageHeader): boolean {
  try {
    return isDeepStrictEqual(readImageHeader(file), whole);
  } catch {
    return false;
  }
}

describe('the header of a file', () => {
  it.each(FILES)('%s', async (name, make, expected) => {
    const file = await bytesOf(make());
    const header = readImageHeader(file);
    expect(header).toEqual({ format: name.split(',')[0], ...rgb, ...expected });
    // And it is what the decoder finds.
    const metadata = await sharp(file).metadata();
    expect([header.width, header.height]).toEqual([metadata.width, metadata.height]);
    expect(header.channels).toBe(header.cmyk ? 3 : metadata.channels);
    expect(header.bitDepth).toBe(metadata.depth === 'ushort' ? 16 : 8);
  });

  it.each(FILES)('is the same of any beginning that holds it: %s', async (_, make) => {
    const file = await bytesOf(make());
    const whole = readImageHeader(file);
    let needed = 0;
    for (const length of cuts(file.length)) {
      const beginning = file.subarray(0, length);
      try {
        expect(readImageHeader(beginning, { complete: false }), `${length} bytes`).toEqual(whole);
        expect(length, 'enough was asked for').toBeGreaterThanOrEqual(needed);
      } catch (error) {
        expect(error, `${length} bytes`).toMatchObject({ name: 'HeaderIncomplete' });
        needed = (error as { neededBytes: number }).neededBytes;
        expect(needed).toBeGreaterThan(length);
        expect(needed).toBeLessThanOrEqual(file.length);
      }
    }
  });

  it.each(FILES)('is refused when the file is cut anywhere: %s', async (_, make) => {
    const file = await bytesOf(make());
    const whole = readImageHeader(file);
    for (const length of cuts(file.length)) {
      // A TIFF may end with values that its pixels do not need, its resolution for one. Whether all rows of a JPEG or PNG came
      // is for the decoder to say (see the tests of the codecs).
      const decides = whole.format === 'webp' || whole.format === 'avif';
      if (!decides && isUnharmed(file.subarray(0, length), whole)) continue;
      const code = length < 12 ? /image_truncated|unsupported_media_type/ : /image_truncated/;
      expect(() => readImageHeader(file.subarray(0, length)), `${length} of ${file.length} bytes`).toThrow(code);
    }
  });

  it.each(FILES)('is read although bytes follow the end: %s', async (_, make) => {
    const file = await bytesOf(make());
    expect(readImageHeader(join(file, 'trailing bytes'))).toEqual(readImageHeader(file));
  });
});

describe('orientation', () => {
  const formats = ['jpeg', 'png', 'webp', 'tiff'] as const;

  it.each(formats)('is what the file says: %s', async (format) => {
    for (const orientation of ORIENTATIONS) {
      const file = await bytesOf(photo().withMetadata({ orientation })[format]());
      expect(readImageHeader(file)).toMatchObject({ width: WIDTH, height: HEIGHT, orientation });
    }
  });

  it('of AVIF is applied by its decoder: sizes are upright', async () => {
    for (const orientation of ORIENTATIONS) {
      const file = await bytesOf(photo().withMetadata({ orientation }).avif({ effort: 0 }));
      const { width, height } = (await sharp(file).raw().toBuffer({ resolveWithObject: true })).info;
      expect(readImageHeader(file)).toMatchObject({ width, height, orientation: 1 });
      expect(width > height).toBe(orientation >= 5);
    }
  });

  it('is found behind the pixels of a PNG, and behind a prefix that does not belong there', async () => {
    const exif = (await sharp(await bytesOf(photo().withMetadata({ orientation: 7 }).jpeg())).metadata()).exif!;
    const png = withPngChunk(await bytesOf(photo().png()), 'eXIf', exif, 'IEND');
    expect(readImageHeader(png).orientation).toBe(7);
    expect(readImageHeader(png, { complete: false }).orientation).toBe(1);
  });

  it.each([0, 9, 65_535])('%i counts as upright', async (orientation) => {
    const file = await bytesOf(photo().withMetadata({ orientation: 6 }).jpeg());
    const tag = file.findIndex((_, i) => file[i] === 0x12 && file[i + 1] === 0x01 && file[i + 2] === 3);
    file.set([orientation & 255, orientation >> 8], tag + 8);
    expect(readImageHeader(file).orientation).toBe(1);
  });

  it('is read from big-endian EXIF', async () => {
    const tiff = join('MM\0*', u32be(8), [0, 1], [1, 0x12, 0, 3], u32be(1), [0, 6, 0, 0], u32be(0));
    const png = withPngChunk(await bytesOf(photo().png()), 'eXIf', tiff, 'IDAT');
    expect(readImageHeader(png).orientation).toBe(6);
  });
});

describe('transparency of a PNG', () => {
  it('may be one grey value or one colour', async () => {
    const one = withPngChunk(await bytesOf(grey().png()), 'tRNS', join([0, 5]), 'IDAT');
    const two = withPngChunk(await bytesOf(photo().png()), 'tRNS', join([0, 5, 0, 6, 0, 7]), 'IDAT');
    expect(readImageHeader(one).channels).toBe(2);
    expect(readImageHeader(two).channels).toBe(4);
    for (const file of [one, two]) expect((await sharp(file).metadata()).hasAlpha).toBe(true);
  });

  it('is ignored where it is malformed or superfluous, as decoders do', async () => {
    const wrong = withPngChunk(await bytesOf(photo().png()), 'tRNS', join([0, 5]), 'IDAT');
    const late = withPngChunk(await bytesOf(grey().png()), 'tRNS', join([0, 5]), 'IEND');
    const superfluous = withPngChunk(await bytesOf(alpha().png()), 'tRNS', join([0, 5]), 'IDAT');
    expect([wrong, late, superfluous].map((file) => readImageHeader(file).channels)).toEqual([3, 1, 4]);
  });
});

describe('more than one picture', () => {
  const animation = async (): Promise<Sharp> => {
    const blank = { width: 8, height: 8, channels: 3 } as const;
    const frames = [0, 90, 180].map((r) =>
      sharp({ create: { ...blank, background: { r, g: 0, b: 0 } } })
        .png()
        .toBuffer(),
    );
    return sharp(await Promise.all(frames), { join: { animated: true } });
  };

  it.each(['gif', 'webp', 'tiff'] as const)('is animated: %s', async (format) => {
    const header = readImageHeader(await bytesOf((await animation())[format]()));
    expect(header).toMatchObject({ format, animated: true, width: 8, height: 8 });
  });

  it('is animated: APNG, unless it has one frame', async () => {
    const png = await bytesOf(photo().png());
    const control = (frameCount: number): Uint8Array => join(u32be(frameCount), u32be(0));
    expect(readImageHeader(withPngChunk(png, 'acTL', control(2), 'IDAT')).animated).toBe(true);
    expect(readImageHeader(withPngChunk(png, 'acTL', control(1), 'IDAT')).animated).toBe(false);
  });

  it('is animated: AVIF sequence', async () => {
    const avif = await bytesOf(photo().avif({ effort: 0 }));
    const sequence = avif.slice();
    sequence.set(Buffer.from('avis'), 8);
    expect(readImageHeader(sequence).animated).toBe(true);
    const bare = join(u32be(20), 'ftypavis', u32be(0), 'avis', u32be(8), 'moov');
    expect(() => readImageHeader(bare)).toThrow('image_animated');
  });

  it('is not a TIFF with smaller copies of its page', async () => {
    const pyramid = photo(200, 200).tiff({ pyramid: true, tile: true, tileWidth: 64, tileHeight: 64 });
    const file = await bytesOf(pyramid);
    expect((await sharp(file).metadata()).pages).toBeGreaterThan(1);
    expect(readImageHeader(file).animated).toBe(false);
  });

  it('is not a still GIF, which is not supported', async () => {
    expect(() => readImageHeader(join('GIF89a', new Uint8Array(7), ';'))).toThrow('unsupported_media_type');
    const still = await bytesOf(photo().gif());
    expect(() => readImageHeader(still)).toThrow('unsupported_media_type');
    expect(() => readImageHeader(still.slice(0, 900), { complete: false })).toThrow('bytes are needed');
  });
});

describe('what is no picture', () => {
  it.each([
    ['text', 'Hello, I am not a picture at all.'],
    ['nothing', ''],
    ['HTML', '<!doctype html><title>Not found</title>'],
    ['SVG', '<svg xmlns="http://www.w3.org/2000/svg"/>'],
    ['BMP', `BM${'\0'.repeat(60)}`],
    ['PDF', '%PDF-1.7 and so on'],
    ['Canon CR3', join(u32be(24), 'ftypcrx ', u32be(0), 'crx isom')],
    ['Olympus ORF', join('IIRO', new Uint8Array(60))],
    ['Panasonic RW2', join('IIU\0', new Uint8Array(60))],
    ['Canon CR2', join('II*\0', [16, 0, 0, 0], 'CR\x02\0', new Uint8Array(60))],
    ['MP4', join(u32be(24), 'ftypisom', u32be(0), 'isommp42')],
    ['a RIFF that is a WAVE', 'RIFF\x24\0\0\0WAVEfmt '],
  ])('is not supported: %s', (_, content) => {
    expect(() => readImageHeader(join(content))).toThrow('unsupported_media_type');
  });

  it('is not known from fewer bytes than a signature has', () => {
    expect(() => readImageHeader(join('RIFF'), { complete: false })).toThrow('bytes are needed');
    expect(() => readImageHeader(join('Hello, world'), { complete: false })).toThrow('unsupported_media_type');
  });
});

describe('assertPixelLimits', () => {
  it.each([
    [1, 1, 1],
    [1024, 1024, 1024 * 1024],
    [65_500, 1, MAX_PIXELS],
    [8192, 6144, MAX_PIXELS],
    [8000, 8000, MAX_PIXELS],
  ])('takes %i×%i within %i', (width, height, maxPixels) => {
    expect(() => assertPixelLimits({ width, height }, maxPixels)).not.toThrow();
  });

  it.each([
    [2, 1, 1],
    [1025, 1024, 1024 * 1024],
    [65_501, 1, MAX_PIXELS],
    [1, 65_501, MAX_PIXELS],
    [8001, 8000, MAX_PIXELS],
    [30_000, 30_000, MAX_PIXELS],
    [2 ** 31 - 1, 2 ** 31 - 1, MAX_PIXELS],
  ])('refuses %i×%i above %i', (width, height, maxPixels) => {
    expect(() => assertPixelLimits({ width, height }, maxPixels)).toThrow('image_too_many_pixels');
  });

  it('stops a bomb: 30,000×30,000 in a few kilobytes', async () => {
    const blank = { width: 30_000, height: 30_000, channels: 3 as const, background: 'black' };
    const bomb = withPngChunk(
      await bytesOf(photo().png()),
      'IHDR',
      join(u32be(blank.width), u32be(blank.height), [8, 2, 0, 0, 0]),
    );
    expect(() => assertPixelLimits(readImageHeader(bomb), MAX_PIXELS)).toThrow('image_too_many_pixels');
  });
});
