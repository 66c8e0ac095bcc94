import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import { readImageHeader, type ImageHeader } from '@deblur/shared/image-header/index.ts';
import { crc32 } from '@deblur/shared/image-header/png.ts';
import { concat, latin1, u32be } from '@deblur/shared/metadata/bytes.ts';
import { deflate } from '@deblur/shared/metadata/zlib.ts';
import type { Channels, RawImage } from '@deblur/shared/pixels/raw-image.ts';
import { describe, expect, inject, it } from 'vitest';
import { WasmCodec } from '../../workers/edge-runner/wasm-codec.ts';
import { fidelityFile } from '../suites/fidelity-files.ts';
import { fromBase64 } from './support/worker.ts';

const codec = new WasmCodec();
const LOSSLESS = { quality: 90, metadata: 'keep' } as const;

function decode(bytes: Uint8Array): Promise<RawImage> {
  return codec.decode(bytes, readImageHeader(bytes));
}

/** The code with which a promise fails. */
function failure(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'none',
    (error: unknown) => (error instanceof DeblurError ? error.code : String(error)),
  );
}

describe('decoding gives the pixels that libvips gives', () => {
  const lossless = (file: string): boolean => file.endsWith('.png') || file === 'rgba.webp';

  it.each(inject('goldenPictures').filter(({ file }) => lossless(file)))('$file, to the byte', async (golden) => {
    const { width, height, channels, data } = await decode(fidelityFile(golden.file));
    expect({ width, height, channels }).toEqual({
      width: golden.width,
      height: golden.height,
      channels: golden.channels,
    });
    expect(data).toEqual(fromBase64(golden.base64));
  });

  it.each(inject('goldenPictures').filter(({ file }) => !lossless(file)))('$file, within 2', async (golden) => {
    const { channels, data } = await decode(fidelityFile(golden.file));
    const expected = fromBase64(golden.base64);
    expect(channels).toBe(golden.channels);
    expect(data).toHaveLength(expected.length);
    expect(Math.max(...data.map((sample, i) => Math.abs(sample - expected[i]!)))).toBeLessThanOrEqual(2);
  });
});

describe('PNG', () => {
  /** A PNG of given lines, each with its filter byte before it. */
  async function png(
    ihdr: readonly number[],
    lines: readonly number[],
    more: readonly Uint8Array[] = [],
  ): Promise<Uint8Array> {
    const [width = 0, height = 0, ...rest] = ihdr;
    const header = concat([u32be(width), u32be(height), Uint8Array.from([...rest, 0, 0, 0])]);
    const data = chunk('IDAT', await deflate(Uint8Array.from(lines)));
    const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
    return concat([signature, chunk('IHDR', header), ...more, data, chunk('IEND', new Uint8Array())]);
  }

  function chunk(type: string, data: Uint8Array): Uint8Array {
    const body = concat([latin1(type), data]);
    return concat([u32be(data.length), body, u32be(crc32(body))]);
  }

  it.each([
    [1, [0b10110000], [255, 0, 255, 255]],
    [2, [0b00011011], [0, 85, 170, 255]],
    [4, [0x0f, 0x3c], [0, 255, 51, 204]],
  ])('grey of %i bits is spread over 0 to 255', async (depth, line, expected) => {
    const image = await decode(await png([4, 1, depth, 0], [0, ...line]));
    expect(image).toEqual({ width: 4, height: 1, channels: 1, data: Uint8Array.from(expected) });
  });

  it('a grey level and a colour may count as transparent', async () => {
    const grey = await png([3, 1, 8, 0], [0, 7, 8, 7], [chunk('tRNS', Uint8Array.of(0, 7))]);
    expect((await decode(grey)).data).toEqual(Uint8Array.of(7, 0, 8, 255, 7, 0));
    const rgb = await png([2, 1, 8, 2], [0, 1, 2, 3, 1, 2, 4], [chunk('tRNS', Uint8Array.of(0, 1, 0, 2, 0, 3))]);
    expect((await decode(rgb)).data).toEqual(Uint8Array.of(1, 2, 3, 0, 1, 2, 4, 255));
  });

  it('every filter is undone', async () => {
    // 2×5 grey; by hand from PNG § 9.2: each line filtered another way.
    const lines = [0, 10, 20, 1, 5, 6, 2, 1, 1, 3, 2, 3, 4, 1, 1];
    const { data } = await decode(await png([2, 5, 8, 0], lines));
    expect([...data]).toEqual([10, 20, 5, 11, 6, 12, 5, 11, 6, 12]);
  });

  it('an index beyond the palette is black', async () => {
    const image = await decode(await png([2, 1, 8, 3], [0, 0, 9], [chunk('PLTE', Uint8Array.of(1, 2, 3))]));
    expect(image.data).toEqual(Uint8Array.of(1, 2, 3, 0, 0, 0));
  });

  it('data that goes on after the last line is not read', async () => {
    const bomb = [0, 5, ...new Array<number>(500_000).fill(0)];
    expect((await decode(await png([1, 1, 8, 0], bomb))).data).toEqual(Uint8Array.of(5));
  });

  it.each([
    ['too few lines', () => png([2, 2, 8, 0], [0, 1, 2]), 'image_truncated'],
    ['an unknown filter', () => png([1, 1, 8, 0], [5, 1]), 'image_undecodable'],
    [
      'a wrong checksum',
      async () => {
        const bytes = await png([1, 1, 8, 0], [0, 1]);
        bytes[bytes.length - 14]! ^= 1;
        return bytes;
      },
      'image_undecodable',
    ],
  ])('with %s is refused', async (_, make, code) => {
    expect(await failure(decode(await make()))).toBe(code);
  });

  it.each([1, 2, 3, 4] as const)('of %i channels comes back as it went in', async (channels) => {
    const image = noiseImage(83, 41, channels);
    const bytes = await codec.encode(image, { format: 'png', ...LOSSLESS });
    expect(readImageHeader(bytes)).toMatchObject({ width: 83, height: 41, channels, bitDepth: 8 });
    expect(await decode(bytes)).toEqual(image);
  });

  it('of a smooth picture is far smaller than its pixels', async () => {
    const data = Uint8Array.from({ length: 200 * 200 * 3 }, (_, i) => ((i / 3) % 200) + Math.floor(i / 600));
    const bytes = await codec.encode({ width: 200, height: 200, channels: 3, data }, { format: 'png', ...LOSSLESS });
    expect(bytes.length).toBeLessThan(data.length / 50);
  });
});

describe('broken data', () => {
  const damaged = (name: string): Uint8Array => {
    const bytes = fidelityFile(name).slice();
    bytes.fill(0x3c, bytes.length >> 1, (bytes.length >> 1) + 100);
    return bytes;
  };

  it.each(['rgba.webp', 'photo.png'])('%s is refused, and the codec goes on', async (name) => {
    expect(await failure(decode(damaged(name)))).toBe('image_undecodable');
    expect((await decode(fidelityFile('size-61x47.jpg'))).data).toHaveLength(61 * 47 * 3);
  });

  it('a JPEG that ends early is not filled with grey', async () => {
    const whole = fidelityFile('subsampled.jpg');
    const cut = concat([whole.subarray(0, whole.length - 800), Uint8Array.of(0xff, 0xd9)]);
    expect(await failure(decode(cut))).toBe('image_truncated');
  });

  it('a header that lies about the size is found out', async () => {
    const bytes = fidelityFile('size-61x47.jpg');
    const lie: ImageHeader = { ...readImageHeader(bytes), width: 47, height: 61 };
    expect(await failure(codec.decode(bytes, lie))).toBe('image_undecodable');
  });
});

describe('memory', () => {
  // The worst that each encoder can be given at the edge's limit of 1024×1024 pixels: noise, at the highest quality.
  it.each([
    ['jpeg', 3],
    ['webp', 3],
    ['webp', 4],
  ] as const)('is enough for the largest %s of %i channels', async (format, channels) => {
    const image = noiseImage(1024, 1024, channels);
    const bytes = await codec.encode(image, { format, quality: 100, metadata: 'keep' });
    const restored = await decode(bytes);
    expect(restored).toMatchObject({ width: 1024, height: 1024, channels });
    if (channels !== 4) return;
    const alpha = (_: number, i: number): boolean => i % 4 === 3;
    expect(restored.data.filter(alpha)).toEqual(image.data.filter(alpha));
  });
});

/** Pseudo-random samples, the same every time. */
function noiseImage(width: number, height: number, channels: Channels): RawImage {
  let state = 7;
  const data = new Uint8Array(width * height * channels).map(() => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  });
  return { width, height, channels, data };
}
