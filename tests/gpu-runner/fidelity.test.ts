/** What only this placement takes — 16 bits, CMYK, AVIF, TIFF — through the real server. */
import { writeMetadata } from '@deblur/shared/metadata/index.ts';
import { planTiles } from '@deblur/shared/pixels/tiling.ts';
import sharp, { type Sharp } from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dataUri, fixture, gradientPng, outputFile, psnr } from './support/images.ts';
import { readManifest, runDirectly } from './support/network.ts';
import { startServer, type RunningServer } from './support/runner.ts';

let server: RunningServer;
beforeAll(async () => void (server = await startServer()));
afterAll(async () => void (await server.stop()));

async function restore(file: Uint8Array, options: object = {}): Promise<Buffer> {
  const { body } = await server.call('POST', '/predictions', { input: { image: dataUri(file), ...options } });
  if (body.status !== 'succeeded') throw new Error(String(body.error));
  return outputFile(body.output);
}

async function bytesOf(picture: Sharp): Promise<Uint8Array> {
  return new Uint8Array(await picture.raw().toBuffer());
}

/** Pixels as they are stored, whatever a profile says of them. */
function storedBytes(file: Buffer): Promise<Uint8Array> {
  return bytesOf(sharp(file, { ignoreIcc: true }));
}

async function samples16(file: Buffer, space: 'rgb16' | 'grey16'): Promise<Uint16Array> {
  const bytes = await sharp(file, { ignoreIcc: true }).toColourspace(space).raw({ depth: 'ushort' }).toBuffer();
  return new Uint16Array(new Uint8Array(bytes).buffer);
}

/** A slow slope: 16 bits tell its steps apart, 8 bits see only a few of them. */
function slope(width: number, height: number, channels: 1 | 2 | 3 | 4): Uint16Array<ArrayBuffer> {
  const data = new Uint16Array(width * height * channels);
  for (let i = 0; i < data.length; i++) {
    const channel = i % channels;
    const isAlpha = channels % 2 === 0 && channel === channels - 1;
    const pixel = Math.floor(i / channels);
    data[i] = isAlpha
      ? (pixel * 7919) % 65_536
      : 20_000 + 300 * channel + (pixel % width) * 12 + Math.floor(pixel / width);
  }
  return data;
}

describe('pixels', () => {
  it('are what the network makes of them, byte for byte', async () => {
    const photo = sharp(await fixture('kodak/kodim23.png')).extract({ left: 100, top: 60, width: 192, height: 160 });
    const file = await photo.png().toBuffer();
    const expected = await runDirectly('uint8', 192, 160, await bytesOf(sharp(file)));
    const actual = await bytesOf(sharp(await restore(file, { format: 'png' })));
    expect(Buffer.from(actual).equals(Buffer.from(expected.buffer as ArrayBuffer))).toBe(true);
  });

  it('with 16 bits are what the float network makes of them, to the last bit', async () => {
    const [width, height] = [192, 128];
    const data = slope(width, height, 3);
    const file = await sharp(data, { raw: { width, height, channels: 3 } })
      .toColourspace('rgb16')
      .png()
      .toBuffer();
    const floats = await runDirectly(
      'float32',
      width,
      height,
      Float32Array.from(data, (sample) => sample / 65_535),
    );
    const expected = Uint16Array.from(floats, (value) =>
      Math.min(65_535, Math.max(0, Math.floor(Math.fround(value) * 65_535 + 0.5))),
    );
    const restored = await restore(file);
    expect(await sharp(restored).metadata()).toMatchObject({ format: 'png', depth: 'ushort', channels: 3 });
    const actual = await samples16(restored, 'rgb16');
    expect(actual).toHaveLength(expected.length);
    expect(actual.findIndex((sample, i) => sample !== expected[i])).toBe(-1);
    expect(new Set(actual).size).toBeGreaterThan(500);
  });

  it('of a large smooth picture show no seam where tiles meet', async () => {
    const { tile, pad_multiple: padMultiple } = await readManifest();
    const [width, height] = [3 * tile.size, tile.size + 40];
    const { x: columns } = planTiles(width, height, { ...tile, padMultiple });
    const file = await gradientPng(width, height);
    const before = await bytesOf(sharp(file));
    const after = await bytesOf(sharp(await restore(file, { format: 'png' })));
    const largest = { seam: 0, elsewhere: 0 };
    for (let i = 3; i < after.length; i++) {
      const x = Math.floor(i / 3) % width;
      if (x === 0) continue;
      const isSeam = columns.rampStarts.some((start) => x >= start && x <= start + tile.overlap);
      const step = Math.abs(after[i]! - after[i - 3]! - (before[i]! - before[i - 3]!));
      const where = isSeam ? 'seam' : 'elsewhere';
      largest[where] = Math.max(largest[where], step);
    }
    expect(columns.rampStarts.length).toBeGreaterThan(1);
    expect(largest.seam).toBeLessThanOrEqual(Math.max(2, largest.elsewhere));
  });

  it.each([
    ['grey', 1, 'grey16'],
    ['grey and alpha', 2, 'grey16'],
    ['RGB and alpha', 4, 'rgb16'],
  ] as const)('with 16 bits keep their channels: %s', async (_, channels, space) => {
    const [width, height] = [70, 50];
    const data = slope(width, height, channels);
    const file = await sharp(data, { raw: { width, height, channels } }).toColourspace(space).png().toBuffer();
    const restored = await restore(file);
    expect(await sharp(restored).metadata()).toMatchObject({ depth: 'ushort', channels, width, height });
    const actual = await samples16(restored, space);
    expect(actual).toHaveLength(data.length);
    const isAlpha = (_sample: number, i: number): boolean => channels > 1 && i % channels === channels - 1;
    expect(actual.filter(isAlpha)).toEqual(data.filter(isAlpha));
  });

  it.each([1, 2, 3, 4] as const)('with 8 bits keep their %i channels, and alpha byte for byte', async (channels) => {
    const [width, height] = [61, 47];
    const data = Uint8Array.from({ length: width * height * channels }, (_, i) => (i * 31) % 256);
    const space = channels <= 2 ? 'b-w' : 'srgb';
    const file = await sharp(data, { raw: { width, height, channels } }).toColourspace(space).png().toBuffer();
    const restored = await restore(file);
    expect(await sharp(restored).metadata()).toMatchObject({ depth: 'uchar', channels, width, height });
    if (channels % 2 === 1) return;
    const alpha = await bytesOf(sharp(restored).extractChannel('alpha'));
    expect(alpha).toEqual(data.filter((_, i) => i % channels === channels - 1));
  });

  it('keep their profile, and are not converted by it', async () => {
    const photo = sharp(await fixture('kodak/kodim23.png')).resize(96, 64);
    const file = await photo.withIccProfile('p3').png().toBuffer();
    const restored = await restore(file);
    expect((await sharp(restored).metadata()).icc).toEqual((await sharp(file).metadata()).icc);
    const stored = await sharp(file, { ignoreIcc: true }).png().toBuffer();
    expect(await storedBytes(restored)).toEqual(await storedBytes(await restore(stored)));
  });
});

describe('CMYK', () => {
  it.each(['with its own profile', 'without one'])('JPEG %s comes back as RGB that looks the same', async (which) => {
    const photo = sharp(await fixture('kodak/kodim23.png'));
    const cmyk = which === 'without one' ? photo.clone().toColourspace('cmyk') : photo.clone().withIccProfile('cmyk');
    const file = await cmyk.jpeg({ quality: 95 }).toBuffer();
    expect(await sharp(file).metadata()).toMatchObject({ space: 'cmyk', hasProfile: which !== 'without one' });
    const restored = await restore(file);
    const rgb = { format: 'jpeg', space: 'srgb', channels: 3, hasProfile: false };
    expect(await sharp(restored).metadata()).toMatchObject(rgb);
    const converted = await sharp(file).png().toBuffer();
    expect(psnr(await bytesOf(sharp(converted)), await bytesOf(photo))).toBeGreaterThan(20);
    expect(await storedBytes(await restore(file, { format: 'png' }))).toEqual(
      await storedBytes(await restore(converted)),
    );
  });
});

describe('a profile embedded in a CMYK JPEG', () => {
  it('is what it is converted by', async () => {
    const cmyk = sharp(await fixture('kodak/kodim23.png'))
      .resize(96, 64)
      .withIccProfile('cmyk');
    const file = new Uint8Array(await cmyk.jpeg({ quality: 95 }).toBuffer());
    const profile = (await sharp(file).metadata()).icc!;
    const bare = await sharp(file).toColourspace('cmyk').jpeg({ quality: 95 }).toBuffer();
    const as = async (icc: Uint8Array): Promise<Uint8Array> =>
      bytesOf(sharp(await restore(await writeMetadata(bare, 'jpeg', { icc }), { format: 'png' })));
    expect(psnr(await as(profile), await as(invertedProfile(profile)))).toBeLessThan(15);
  });
});

describe('AVIF', () => {
  it('goes in and out with its metadata', async () => {
    const photo = sharp(await fixture('kodak/kodim23.png')).resize(160, 120);
    const source = await photo
      .withIccProfile('p3')
      .withExif({ IFD0: { Copyright: 'A photographer' } })
      .withXmp('<x:xmpmeta xmlns:x="adobe:ns:meta/"/>')
      .avif({ quality: 90 })
      .toBuffer();
    const before = await sharp(source).metadata();
    const restored = await restore(source);
    const after = await sharp(restored).metadata();
    expect(after).toMatchObject({ format: 'heif', compression: 'av1', width: 160, height: 120 });
    expect(after.icc).toEqual(before.icc);
    expect(after.xmpAsString).toContain('xmpmeta');
    expect(after.exif?.toString('latin1')).toContain('A photographer');
    const png = await sharp(await restore(source, { format: 'png' })).metadata();
    expect(png.icc).toEqual(before.icc);
    expect(png.exif?.toString('latin1')).toContain('A photographer');
    const stripped = await sharp(await restore(source, { metadata: 'strip' })).metadata();
    expect(stripped.exif).toBeUndefined();
    expect(stripped.xmp).toBeUndefined();
    expect(stripped.icc).toEqual(before.icc);
  });

  it('is turned by its own box, once', async () => {
    const photo = sharp(await fixture('kodak/kodim23.png')).resize(96, 64);
    const source = await photo.clone().withMetadata({ orientation: 6 }).avif({ quality: 95 }).toBuffer();
    const restored = await restore(source, { format: 'png' });
    expect(await sharp(restored).metadata()).toMatchObject({ width: 64, height: 96 });
    const turned = sharp(await photo.png().toBuffer()).rotate(90);
    expect(psnr(await bytesOf(sharp(source)), await bytesOf(turned))).toBeGreaterThan(25);
    const decoded = await sharp(source).png().toBuffer();
    expect(await storedBytes(restored)).toEqual(await storedBytes(await restore(decoded)));
  });

  it('keeps alpha', async () => {
    const [width, height] = [64, 40];
    const data = Uint8Array.from({ length: width * height * 4 }, (_, i) => (i % 4 === 3 ? (i >> 4) % 256 : 120));
    const source = await sharp(data, { raw: { width, height, channels: 4 } })
      .avif({ lossless: true })
      .toBuffer();
    const alpha = await bytesOf(sharp(await restore(source, { format: 'png' })).extractChannel('alpha'));
    expect(alpha).toEqual(data.filter((_, i) => i % 4 === 3));
  });
});

describe('TIFF', () => {
  it.each(['none', 'lzw', 'deflate', 'jpeg'] as const)('with %s compression comes back as PNG', async (compression) => {
    const photo = sharp(await fixture('kodak/kodim23.png')).resize(96, 64);
    const file = await photo.tiff({ compression }).toBuffer();
    const restored = await restore(file);
    expect(await sharp(restored).metadata()).toMatchObject({ format: 'png', width: 96, height: 64, channels: 3 });
    const decoded = await sharp(file).png().toBuffer();
    expect(await storedBytes(restored)).toEqual(await storedBytes(await restore(decoded)));
  });

  it('keeps 16 bits', async () => {
    const [width, height] = [64, 48];
    const data = slope(width, height, 3);
    const picture = sharp(data, { raw: { width, height, channels: 3 } }).toColourspace('rgb16');
    const restored = await restore(await picture.tiff({ compression: 'deflate', predictor: 'horizontal' }).toBuffer());
    expect(await sharp(restored).metadata()).toMatchObject({ format: 'png', depth: 'ushort' });
    expect(new Set(await samples16(restored, 'rgb16')).size).toBeGreaterThan(256);
  });
});

describe('other formats of the result', () => {
  it.each(['jpeg', 'webp', 'avif', 'png'] as const)('%s of a 16-bit picture with alpha', async (format) => {
    const [width, height] = [64, 48];
    const picture = sharp(slope(width, height, 4), { raw: { width, height, channels: 4 } }).toColourspace('rgb16');
    const restored = await sharp(await restore(await picture.png().toBuffer(), { format })).metadata();
    expect(restored).toMatchObject({ width, height, channels: format === 'jpeg' ? 3 : 4 });
    expect(restored.depth).toBe(format === 'png' ? 'ushort' : 'uchar');
  });

  it('lays alpha over white for JPEG', async () => {
    const clear = sharp({ create: { width: 32, height: 32, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } } });
    const restored = await bytesOf(sharp(await restore(await clear.png().toBuffer(), { format: 'jpeg' })));
    expect(Math.min(...restored)).toBeGreaterThanOrEqual(254);
  });

  it('obeys quality', async () => {
    const photo = await fixture('kodak/kodim23.png');
    const small = await restore(photo, { format: 'jpeg', quality: 30 });
    const large = await restore(photo, { format: 'jpeg', quality: 95 });
    expect(small.length).toBeLessThan(large.length / 3);
  });

  it('takes other tile sizes', async () => {
    const photo = await gradientPng(300, 200);
    const restored = await sharp(await restore(photo, { tile: 128, format: 'png' })).metadata();
    expect(restored).toMatchObject({ width: 300, height: 200 });
  });
});

/** A profile that takes every colour for its opposite: the table of its first A2B tag (ICC.1 § 10.10, lut16Type) inverted. */
function invertedProfile(profile: Uint8Array): Uint8Array {
  const inverted = Uint8Array.from(profile);
  const view = new DataView(inverted.buffer);
  for (let tag = 0; tag < view.getUint32(128); tag++) {
    const entry = 132 + 12 * tag;
    const at = view.getUint32(entry + 4);
    if (
      !Buffer.from(inverted.subarray(entry, entry + 4))
        .toString()
        .startsWith('A2B')
    )
      continue;
    const inputTables = 2 * inverted[at + 8]! * view.getUint16(at + 48);
    const outputTables = 2 * inverted[at + 9]! * view.getUint16(at + 50);
    const end = at + view.getUint32(entry + 8) - outputTables;
    for (let i = at + 52 + inputTables; i < end; i++) inverted[i] = 255 - inverted[i]!;
    // The three tags share one table: inverted twice, it would be as before.
    return inverted;
  }
  throw new Error('the profile has no A2B tag');
}
