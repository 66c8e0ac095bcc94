// Structures written byte by byte: what no decoder here takes, and what sharp reads but does not write.
import { readImageHeader, type ImageHeader } from '@deblur/shared/image-header/index.ts';
import { describe, expect, it } from 'vitest';
import { bytesOf, join, photo, u32be } from './support/pictures.ts';
import { av1, bmff } from './support/containers.ts';

const WIDTH = 37;
const HEIGHT = 53;

type Expected = Partial<ImageHeader>;
const rgb = { width: WIDTH, height: HEIGHT, channels: 3, bitDepth: 8, cmyk: false, animated: false, orientation: 1 };

describe('pictures that no decoder here takes', () => {
  const sof = (marker: number, precision: number, height: number, width: number, components: number): Uint8Array => {
    const tables = Array.from({ length: components }, (_, i) => [i + 1, 0x11, 0]).flat();
    const frame = [0xff, marker, 0, 8 + components * 3, precision, height >> 8, height & 255, width >> 8, width & 255];
    return join([0xff, 0xd8], [...frame, components], tables, [0xff, 0xda, 0, 2, 0, 0xff, 0xd9]);
  };

  it('JPEG: takes baseline, extended and progressive', () => {
    for (const marker of [0xc0, 0xc1, 0xc2]) {
      expect(readImageHeader(sof(marker, 8, 3, 5, 3))).toMatchObject({ width: 5, height: 3, channels: 3 });
    }
  });

  it('JPEG: does not take tables before the frame for it', () => {
    const tables = [0xc4, 0xc8, 0xcc, 0xdb, 0xdd].flatMap((marker) => [0xff, marker, 0, 11, 8, 0, 9, 0, 9, 3, 0, 0, 0]);
    const file = sof(0xc0, 8, 3, 5, 1);
    const expected = { width: 5, height: 3, channels: 1 };
    expect(readImageHeader(join(file.subarray(0, 2), tables, file.subarray(2)))).toMatchObject(expected);
  });

  it.each([
    ['lossless', sof(0xc3, 8, 3, 5, 3)],
    ['hierarchical', sof(0xc5, 8, 3, 5, 3)],
    ['arithmetic', sof(0xc9, 8, 3, 5, 3)],
    ['12-bit', sof(0xc1, 12, 3, 5, 3)],
    ['two components', sof(0xc0, 8, 3, 5, 2)],
    ['no height', sof(0xc0, 8, 0, 5, 3)],
    ['no width', sof(0xc0, 8, 3, 0, 1)],
    ['no frame', join([0xff, 0xd8, 0xff, 0xda, 0, 2, 0, 0xff, 0xd9])],
    ['nothing but its ends', join([0xff, 0xd8, 0xff, 0xd9])],
  ])('JPEG: %s', (_, file) => {
    expect(() => readImageHeader(file)).toThrow('image_undecodable');
  });

  it.each([
    ['no width', 16, [0, 0, 0, 0]],
    ['a width above 2³¹', 16, [128, 0, 0, 0]],
    ['a colour type that is none', 25, [1]],
    ['a depth that its colour type does not have', 24, [4]],
    ['another compression', 26, [1]],
    ['another interlacing', 28, [2]],
    ['a wrong checksum', 29, [1, 2, 3, 4]],
  ])('PNG: %s', async (_, at, bytes) => {
    const file = await bytesOf(photo().png());
    file.set(bytes, at);
    expect(() => readImageHeader(file)).toThrow('image_undecodable');
  });

  it('WebP: two different sizes', async () => {
    const file = await bytesOf(photo().ensureAlpha(0.5).webp());
    expect(Buffer.from(file).toString('latin1', 12, 16)).toBe('VP8X');
    file[24] = 200;
    expect(() => readImageHeader(file)).toThrow('image_undecodable');
  });
});

describe('AVIF structures that sharp does not write', () => {
  it('are read: what it does write, rebuilt', () => {
    expect(readImageHeader(bmff())).toEqual({ format: 'avif', ...rgb });
  });

  it.each<[string, Parameters<typeof bmff>[0], Expected]>([
    ['monochrome', { depthBits: 0x10 }, { channels: 1 }],
    ['monochrome with alpha', { depthBits: 0x10, alpha: true }, { channels: 2 }],
    ['a depth map beside it', { alpha: true, auxiliary: 'urn:mpeg:hevc:2015:auxid:2' }, { channels: 3 }],
    ['alpha of another picture', { alpha: true, alphaOf: 3 }, { channels: 3 }],
    ['10 bits', { depthBits: 0x40 }, { bitDepth: 16 }],
    ['a grid', { grid: true }, {}],
    ['a quarter turn', { transforms: [['irot', [1]]] }, { width: HEIGHT, height: WIDTH }],
    [
      'a half turn and a mirror',
      {
        transforms: [
          ['irot', [2]],
          ['imir', [1]],
        ],
      },
      {},
    ],
    [
      'a clean aperture, then a turn',
      {
        transforms: [
          ['clap', [20, 1, 61, 2, 0, 1, 0, 1].flatMap((n) => [...u32be(n)])],
          ['irot', [3]],
        ],
      },
      { width: 31, height: 20 },
    ],
  ])('are read: %s', (_, options, expected) => {
    expect(readImageHeader(bmff(options))).toEqual({ format: 'avif', ...rgb, ...expected });
  });

  it.each<[string, Parameters<typeof bmff>[0]]>([
    ['a primary picture in HEVC', { codec: 'hvc1' }],
    ['no such primary picture', { primaryId: 9 }],
    ['no size', { width: 0 }],
  ])('are refused: %s', (_, options) => {
    expect(() => readImageHeader(bmff(options))).toThrow('image_undecodable');
  });
});

describe('the cost of an AVIF is that of its AV1 data', () => {
  it.each<[string, Parameters<typeof bmff>[0]]>([
    ['a picture of 268 MP behind boxes that say 37×53', { coded: av1(16_384, 16_384) }],
    ['a thousand hidden frames', { coded: av1(37, 53, 1000) }],
    ['no sequence header', { coded: join([0x32, 0]) }],
    ['an item without data', { coded: new Uint8Array() }],
    ['a tile of 268 MP', { coded: av1(16_384, 16_384), grid: true }],
  ])('which is refused with %s', (_, options) => {
    expect(() => readImageHeader(bmff(options))).toThrow('image_undecodable');
  });

  it('which may be a few times the picture', () => {
    expect(readImageHeader(bmff({ coded: av1(64, 64, 4) }))).toMatchObject({ width: WIDTH, height: HEIGHT });
  });
});

describe('TIFF directories', () => {
  /** Little-endian, one strip; `next` is the offset of the following directory, `extra` lies after this one. */
  const tiff = (next: number, extra: readonly number[] = [], photometric = 2): Uint8Array => {
    const tags = [
      [256, 4],
      [257, 5],
      [258, 8],
      [262, photometric],
      [273, 0],
      [277, 3],
      [279, 4],
    ] as const;
    const u16 = (n: number): number[] => [n & 255, n >> 8];
    const entries = tags.flatMap(([tag, value]) => [...u16(tag), 3, 0, 1, 0, 0, 0, ...u16(value), 0, 0]);
    return join('II*\0', [8, 0, 0, 0], u16(tags.length), entries, [...u16(next), 0, 0], extra);
  };
  const secondAt = 8 + 2 + 7 * 12 + 4;

  it('may form a loop', () => {
    expect(readImageHeader(tiff(0))).toMatchObject({ width: 4, height: 5, animated: false });
    expect(readImageHeader(tiff(8))).toMatchObject({ animated: false });
    // Two reduced copies that name each other.
    const reduced = (next: number): number[] => [1, 0, 254, 0, 3, 0, 1, 0, 0, 0, 1, 0, 0, 0, next, 0, 0, 0];
    const loop = tiff(secondAt, [...reduced(secondAt + 18), ...reduced(secondAt)]);
    expect(readImageHeader(loop)).toMatchObject({ animated: false });
  });

  it('may lead out of the file', () => {
    expect(() => readImageHeader(tiff(5000))).toThrow('image_truncated');
    expect(() => readImageHeader(tiff(5000), { complete: false })).toThrow('bytes are needed');
  });

  it('may state a colour model that nobody has', () => {
    expect(() => readImageHeader(tiff(0, [], 7))).toThrow('image_undecodable');
  });

  it.each([
    ['a colour filter array', 32_803, 'Camera raw'],
    ['linear raw', 34_892, 'Camera raw'],
    ['CIELab', 8, 'CIELab'],
  ])('are refused by name with %s', (_, photometric, name) => {
    expect(() => readImageHeader(tiff(0, [], photometric))).toThrow(
      `unsupported_media_type: ${name === 'CIELab' ? 'TIFF pictures in CIELab' : name}`,
    );
  });
});
