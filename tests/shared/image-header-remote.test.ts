// Headers of files that are not held: read in ranges, however the file is built, and never more than a few of them.
import { readImageHeader, readRemoteImageHeader } from '@deblur/shared/image-header/index.ts';
import { HEADER_RANGE_BYTES, HEADER_RANGES_MAX } from '@deblur/shared/limits.ts';
import { describe, expect, it } from 'vitest';
import { bytesOf, join, photo } from './support/pictures.ts';

/** The file with its first bytes, and every range that is read of it. */
function remote(bytes: Uint8Array, beginning = 12) {
  const ranges: { readonly at: number; readonly length: number }[] = [];
  const file = {
    length: bytes.length,
    beginning: bytes.slice(0, beginning),
    read: async (at: number, length: number) => {
      ranges.push({ at, length });
      if (at + length > bytes.length) throw new RangeError('beyond the end');
      return bytes.slice(at, at + length);
    },
  };
  return { file, ranges };
}

const segment = (length: number): Uint8Array => {
  const bytes = new Uint8Array(length + 2);
  bytes.set([0xff, 0xfe, length >> 8, length & 255]);
  return bytes;
};

/** Little-endian, 7×5, its directory behind `pixels` bytes. */
function tiff(pixels: number): Uint8Array {
  const entries = [
    [256, 7],
    [257, 5],
    [258, 8],
    [262, 1],
    [277, 1],
    [273, 8],
    [279, 35],
  ] as const;
  const bytes = new Uint8Array(8 + pixels + 2 + entries.length * 12 + 4);
  const view = new DataView(bytes.buffer);
  bytes.set([0x49, 0x49, 42, 0]);
  view.setUint32(4, 8 + pixels, true);
  view.setUint16(8 + pixels, entries.length, true);
  for (const [i, [tag, value]] of entries.entries()) {
    const at = 10 + pixels + i * 12;
    view.setUint16(at, tag, true);
    view.setUint16(at + 2, 4, true);
    view.setUint32(at + 4, 1, true);
    view.setUint32(at + 8, value, true);
  }
  return bytes;
}

describe('a header that is read in ranges', () => {
  it.each(['jpeg', 'png', 'webp', 'avif', 'tiff'] as const)('is that of the whole file: %s', async (format) => {
    const bytes = await bytesOf(photo().toFormat(format));
    for (const beginning of [12, 13, 40, 100, bytes.length]) {
      const { file } = remote(bytes, beginning);
      expect(await readRemoteImageHeader(file)).toEqual(readImageHeader(bytes));
    }
  });

  it('takes the end of a large file, and not what lies before it', async () => {
    const bytes = tiff(20_000_000);
    const { file, ranges } = remote(bytes);
    expect(await readRemoteImageHeader(file)).toMatchObject({ format: 'tiff', width: 7, height: 5 });
    expect(ranges).toEqual([{ at: 20_000_008, length: bytes.length - 20_000_008 }]);
  });

  it('walks over what it need not know', async () => {
    const picture = await bytesOf(photo().jpeg());
    const comments = Array.from({ length: 60 }, () => segment(65_535));
    const { file, ranges } = remote(join(picture.subarray(0, 2), ...comments, picture.subarray(2)));
    expect(await readRemoteImageHeader(file)).toEqual(readImageHeader(picture));
    expect(ranges.length).toBeLessThanOrEqual(HEADER_RANGES_MAX);
  });

  it.each([
    ['of full length', () => join([0xff, 0xd8], ...Array.from({ length: 100 }, () => segment(65_535)))],
    ['of a few bytes', () => join([0xff, 0xd8], ...Array.from({ length: 9_000 }, () => segment(600)))],
  ])('is given up when too many segments come before it: %s', async (_, build) => {
    const { file, ranges } = remote(build());
    await expect(readRemoteImageHeader(file)).rejects.toMatchObject({ code: 'image_undecodable' });
    expect(ranges.length).toBeLessThanOrEqual(HEADER_RANGES_MAX);
    expect(ranges.reduce((sum, { length }) => sum + length, 0)).toBeLessThanOrEqual(
      HEADER_RANGES_MAX * HEADER_RANGE_BYTES,
    );
  });

  it.each(['jpeg', 'png', 'webp', 'avif', 'tiff'] as const)('of a file that is cut is none: %s', async (format) => {
    const bytes = await bytesOf(photo().toFormat(format));
    for (const length of [12, 16, 20, 24]) {
      const { file } = remote(bytes.slice(0, length));
      await expect(readRemoteImageHeader(file), `${length} bytes`).rejects.toMatchObject({ name: 'DeblurError' });
    }
  });

  it('that asks for more than there is ends like any other', async () => {
    const bytes = tiff(100);
    new DataView(bytes.buffer).setUint32(4, 0xfffffff0, true);
    await expect(readRemoteImageHeader(remote(bytes).file)).rejects.toMatchObject({ code: 'image_truncated' });
  });
});
