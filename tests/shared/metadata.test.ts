import { METADATA_BLOCK_MAX_BYTES } from '@deblur/shared/limits.ts';
import { readImageHeader } from '@deblur/shared/image-header/index.ts';
import { ByteView } from '@deblur/shared/image-header/byte-view.ts';
import { TAG, TiffReader } from '@deblur/shared/image-header/ifd.ts';
import {
  carriedMetadata,
  cleanExif,
  readMetadata,
  writeMetadata,
  type Metadata,
} from '@deblur/shared/metadata/index.ts';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { deflateSync } from 'node:zlib';
import sharp, { type Sharp } from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { withPngChunk } from './support/containers.ts';
import { exifWithThumbnail } from './support/exif.ts';
import { bytesOf, join, noise, photo, pixelsOf, toSharp, u32be } from './support/pictures.ts';

const SIZE = { width: 640, height: 480 };

const FORMATS = ['jpeg', 'png', 'webp'] as const;
type Format = (typeof FORMATS)[number];

const XMP =
  '<?xpacket begin="\ufeff"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><a>Grüße, 写真</a></x:xmpmeta><?xpacket end="w"?>';
const XMP_BYTES = new TextEncoder().encode(XMP);

function described(format: Format): Promise<Uint8Array> {
  const exif = { IFD0: { Artist: 'Ada', Copyright: '© Ada' }, IFD3: { GPSLatitudeRef: 'N' } };
  const picture = photo().withMetadata({ orientation: 6 }).withExifMerge(exif).withIccProfile('p3').withXmp(XMP);
  return bytesOf(picture[format]());
}

/** What libvips finds, as our Metadata. */
async function seenBySharp(file: Uint8Array): Promise<Metadata> {
  const { exif, icc, xmp } = await sharp(file).metadata();
  const prefix = exif?.subarray(0, 6).toString('latin1') === 'Exif\0\0' ? 6 : 0;
  return {
    ...(exif === undefined ? {} : { exif: new Uint8Array(exif.subarray(prefix)) }),
    ...(icc === undefined ? {} : { icc: new Uint8Array(icc) }),
    ...(xmp === undefined ? {} : { xmp: new Uint8Array(xmp) }),
  };
}

/** Blocks by digest: to compare them byte for byte, whatever class of array they are in. */
function plain(metadata: Metadata): Record<string, string> {
  const digest = (block: Uint8Array): string =>
    `${block.length} bytes ${createHash('sha256').update(block).digest('hex')}`;
  return Object.fromEntries(
    Object.entries(metadata).map(([kind, block]: [string, Uint8Array]) => [kind, digest(block)]),
  );
}

let large: Uint8Array;
beforeAll(async () => {
  const cmyk = await sharp(await bytesOf(photo().withIccProfile('cmyk').jpeg())).metadata();
  large = new Uint8Array(cmyk.icc!);
  expect(large.length).toBeGreaterThan(10 * 65_535);
});

describe('reading', () => {
  it.each(FORMATS)('finds what libvips finds: %s', async (format) => {
    const file = await described(format);
    const metadata = await readMetadata(file, format);
    expect(Object.keys(metadata).sort()).toEqual(['exif', 'icc', 'xmp']);
    expect(plain(metadata)).toEqual(plain(await seenBySharp(file)));
    expect(new TextDecoder().decode(metadata.xmp)).toContain('Grüße, 写真');
  });

  it('finds ICC and XMP of a TIFF', async () => {
    const file = await bytesOf(photo().withIccProfile('p3').withXmp(XMP).tiff());
    const { icc, xmp } = await seenBySharp(file);
    const found = await readMetadata(file, 'tiff');
    expect(plain({ icc: found.icc!, xmp: found.xmp! })).toEqual(plain({ icc: icc!, xmp: xmp! }));
  });

  it('copies the descriptive tags and the Exif directory of a TIFF into a structure of their own', async () => {
    const tiff = new Uint8Array(await readFile(new URL('../fixtures/reported/tiff-exif-iptc.tif', import.meta.url)));
    const found = await readMetadata(tiff, 'tiff');
    const file = await writeMetadata(await bytesOf(photo().jpeg()), 'jpeg', { exif: cleanExif(found.exif!, SIZE)! });
    const seen = (await sharp(file).metadata()).exif!.toString('latin1');
    for (const text of ['Somebody', '2020:01:02 03:04:05']) expect(seen).toContain(text);
    // Where the pixels of the TIFF lie says nothing about the result.
    const reader = new TiffReader(new ByteView(found.exif!));
    const tags = reader.readIfd(reader.firstIfd).entries.map(({ tag }) => tag);
    expect(tags).toEqual([...tags].sort((a, b) => a - b));
    expect(tags).not.toContain(TAG.stripOffsets);
  });

  it('puts a profile together from its pieces, in whatever order they come', async () => {
    const file = await writeMetadata(await bytesOf(photo().jpeg()), 'jpeg', { icc: large });
    expect(plain(await readMetadata(file, 'jpeg'))).toEqual(plain({ icc: large }));
    const segments = splitSegments(file).reverse();
    const reversed = join(
      [0xff, 0xd8],
      ...segments,
      file.subarray(2 + segments.reduce((n, part) => n + part.length, 0)),
    );
    expect(plain(await readMetadata(reversed, 'jpeg'))).toEqual(plain({ icc: large }));
    const lacking = join([0xff, 0xd8], ...segments.slice(1), reversed.subarray(-2));
    expect(await readMetadata(lacking, 'jpeg')).toEqual({});
  });

  it('inflates compressed XMP of a PNG', async () => {
    const packet = deflateSync(Buffer.from(XMP));
    const png = withPngChunk(
      await bytesOf(photo().png()),
      'iTXt',
      join('XML:com.adobe.xmp\0\x01\0\0\0', packet),
      'IDAT',
    );
    expect(new TextDecoder('utf-8', { ignoreBOM: true }).decode((await readMetadata(png, 'png')).xmp)).toBe(XMP);
  });

  it('finds uncompressed XMP of a PNG in either text chunk', async () => {
    for (const [type, start] of [
      ['iTXt', 'XML:com.adobe.xmp\0\0\0en\0title\0'],
      ['tEXt', 'XML:com.adobe.xmp\0'],
    ] as const) {
      const png = withPngChunk(await bytesOf(photo().png()), type, join(start, XMP_BYTES), 'IDAT');
      expect(plain(await readMetadata(png, 'png')), type).toEqual(plain({ xmp: XMP_BYTES }));
    }
  });

  it.each(['iCCP', 'iTXt', 'zTXt'])('does not let a bomb go off: %s', async (type) => {
    const bomb = deflateSync(new Uint8Array(60_000_000));
    const start = { iCCP: 'bomb\0\0', iTXt: 'XML:com.adobe.xmp\0\x01\0\0\0', zTXt: 'XML:com.adobe.xmp\0\0' }[type]!;
    const png = withPngChunk(await bytesOf(photo().png()), type, join(start, bomb), 'IDAT');
    const before = process.memoryUsage().arrayBuffers;
    expect(await readMetadata(png, 'png')).toEqual({});
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(30_000_000);
  });

  it('drops what is broken or beyond the limit, and keeps the rest', async () => {
    const png = await bytesOf(photo().png());
    const xmp = withPngChunk(png, 'iTXt', join('XML:com.adobe.xmp\0\0\0\0\0', XMP_BYTES), 'IDAT');
    const broken = [
      withPngChunk(xmp, 'iCCP', join('name\0\0', 'not zlib'), 'IDAT'),
      withPngChunk(xmp, 'iCCP', join('name\0\0', deflateSync(new Uint8Array(500))), 'IDAT'),
      withPngChunk(xmp, 'iCCP', join('name'), 'IDAT'),
      withPngChunk(xmp, 'eXIf', new Uint8Array(METADATA_BLOCK_MAX_BYTES + 1), 'IDAT'),
      withPngChunk(xmp, 'iTXt', join('XML:com.adobe.xmp\0'), 'iTXt'),
    ];
    for (const file of broken) expect(Object.keys(await readMetadata(file, 'png'))).toEqual(['xmp']);
  });

  it('finds what libvips finds: avif', async () => {
    const picture = photo()
      .withExif({ IFD0: { Artist: 'Ada' } })
      .withIccProfile('p3')
      .withXmp(XMP);
    const file = await bytesOf(picture.avif({ effort: 0 }));
    expect(plain(await readMetadata(file, 'avif'))).toEqual(plain(await seenBySharp(file)));
  });

  it('finds nothing in gif, which it does not read', async () => {
    expect(await readMetadata(await described('jpeg'), 'gif')).toEqual({});
  });
});

/** JPEG segments between SOI and the first one that is neither APP1 nor APP2. */
function splitSegments(file: Uint8Array): Uint8Array[] {
  const segments: Uint8Array[] = [];
  let at = 2;
  while ((file[at + 1]! & 0xf0) === 0xe0) {
    const end = at + 2 + file[at + 2]! * 256 + file[at + 3]!;
    segments.push(file.subarray(at, end));
    at = end;
  }
  return segments;
}

describe('writing', () => {
  const PLAIN: readonly (readonly [string, Format, () => Sharp])[] = [
    ['jpeg', 'jpeg', () => photo().jpeg()],
    ['jpeg, grey', 'jpeg', () => photo().toColourspace('b-w').jpeg()],
    ['jpeg, progressive', 'jpeg', () => photo().jpeg({ progressive: true })],
    ['png', 'png', () => photo().png()],
    ['png, palette', 'png', () => photo().ensureAlpha(0.5).png({ palette: true })],
    ['png, 16-bit', 'png', () => photo().toColourspace('rgb16').png()],
    ['webp', 'webp', () => photo().webp()],
    ['webp, odd number of bytes', 'webp', () => toSharp(noise(5, 3, 3)).webp({ lossless: true })],
    ['webp, lossless with alpha', 'webp', () => toSharp(noise(31, 17, 4)).webp({ lossless: true })],
    ['webp, lossy with alpha', 'webp', () => toSharp(noise(31, 17, 4)).webp()],
    ['webp, 1×1', 'webp', () => toSharp(noise(1, 1, 3)).webp()],
  ];

  it.each(PLAIN)('adds metadata that libvips reads, and changes no pixel: %s', async (_, format, make) => {
    const bare = await bytesOf(make());
    const source = await readMetadata(await described('jpeg'), 'jpeg');
    const metadata = carriedMetadata(source, 'keep', { convertedToRgb: false, format: 'png', channels: 3, size: SIZE });
    const file = await writeMetadata(bare, format, metadata);
    expect(Object.keys(metadata).sort()).toEqual(['exif', 'icc', 'xmp']);
    expect(plain(await readMetadata(file, format))).toEqual(plain(metadata));
    // libvips takes a profile only where its colour space fits the picture.
    const { icc, ...others } = await seenBySharp(file);
    expect(plain(others)).toEqual(plain({ exif: metadata.exif!, xmp: metadata.xmp! }));
    if (icc !== undefined) expect([...icc]).toEqual([...metadata.icc!]);
    expect(readImageHeader(file)).toEqual(readImageHeader(bare));
    expect([...(await pixelsOf(file))]).toEqual([...(await pixelsOf(bare))]);
  });

  it.each(FORMATS)('adds each block alone: %s', async (format) => {
    const bare = await bytesOf(photo()[format]());
    const all = await readMetadata(await described(format), format);
    for (const kind of ['exif', 'icc', 'xmp'] as const) {
      const one = { [kind]: all[kind] } as Metadata;
      const file = await writeMetadata(bare, format, one);
      expect(plain(await seenBySharp(file)), kind).toEqual(plain(one));
    }
    expect(await writeMetadata(bare, format, {})).toBe(bare);
  });

  it.each(FORMATS)('carries everything from every format into %s', async (target) => {
    for (const format of FORMATS) {
      const source = await readMetadata(await described(format), format);
      const metadata = carriedMetadata(source, 'keep', {
        convertedToRgb: false,
        format: 'png',
        channels: 3,
        size: SIZE,
      });
      const file = await writeMetadata(await bytesOf(photo()[target]()), target, metadata);
      const seen = await sharp(file).metadata();
      expect(seen.orientation ?? 1, format).toBe(1);
      expect(seen.exif?.includes('Ada'), format).toBe(true);
      expect([...seen.icc!], format).toEqual([...source.icc!]);
      expect(seen.xmp?.toString(), format).toContain('Grüße');
    }
  });

  it('splits a large profile over segments of a JPEG', async () => {
    const file = await writeMetadata(await bytesOf(photo().jpeg()), 'jpeg', { icc: large });
    const pieces = splitSegments(file).filter((part) => part[1] === 0xe2);
    expect(pieces.length).toBe(Math.ceil(large.length / 65_519));
    expect(pieces.every((part) => part.length <= 65_537)).toBe(true);
  });

  it('keeps JFIF first', async () => {
    const jfif = join([0xff, 0xe0, 0, 16], 'JFIF\0', [1, 1, 0, 0, 1, 0, 1, 0, 0]);
    const bare = await bytesOf(photo().jpeg());
    const withJfif = join([0xff, 0xd8], jfif, bare.subarray(bare[3] === 0xe0 ? 20 : 2));
    const file = await writeMetadata(withJfif, 'jpeg', { exif: exifWithThumbnail() });
    expect([...file.subarray(0, 20)]).toEqual([0xff, 0xd8, ...jfif]);
    expect([file[20], file[21]]).toEqual([0xff, 0xe1]);
  });

  it('leaves out what a JPEG cannot hold, and writes the rest', async () => {
    const tooLarge = new Uint8Array(65_528);
    const file = await writeMetadata(await bytesOf(photo().jpeg()), 'jpeg', {
      exif: tooLarge,
      xmp: tooLarge,
      icc: large,
    });
    expect(Object.keys(await readMetadata(file, 'jpeg'))).toEqual(['icc']);
    const fits = { exif: new Uint8Array(65_527).fill(7) };
    expect(plain(await readMetadata(await writeMetadata(await bytesOf(photo().jpeg()), 'jpeg', fits), 'jpeg'))).toEqual(
      plain(fits),
    );
  });

  it('replaces a PNG’s other statements about colour', async () => {
    const { icc } = await readMetadata(await described('png'), 'png');
    const srgb = withPngChunk(await bytesOf(photo().png()), 'sRGB', Uint8Array.of(0), 'IDAT');
    const gamma = withPngChunk(srgb, 'gAMA', u32be(45_455), 'IDAT');
    const file = Buffer.from(await writeMetadata(gamma, 'png', { icc: icc! })).toString('latin1');
    expect(file).not.toMatch(/sRGB|gAMA/);
    expect(Buffer.from(await writeMetadata(gamma, 'png', { xmp: XMP_BYTES })).toString('latin1')).toMatch(
      /sRGB.*gAMA/s,
    );
  });

  it.each(['png', 'webp'] as const)('refuses what is cut: %s', async (format) => {
    const file = await bytesOf(photo()[format]());
    const cut = file.subarray(0, Math.floor(file.length / 2));
    await expect(writeMetadata(cut, format, { xmp: XMP_BYTES })).rejects.toThrow('image_truncated');
  });
});

describe('IPTC, comment and density', () => {
  const described: Metadata = {
    iptc: join([0x1c, 2, 120, 0, 5], 'title'),
    comment: join('a comment'),
    density: { x: 300, y: 240, unit: 'inch' },
  };
  const options = { convertedToRgb: false, channels: 3, size: SIZE } as const;

  it.each(['jpeg', 'png'] as const)('come back from a %s as they were written', async (format) => {
    const file = await writeMetadata(await bytesOf(photo()[format]()), format, described);
    expect(await readMetadata(file, format)).toEqual(described);
    expect((await sharp(file).metadata()).density).toBe(300);
  });

  it('are carried with `keep`, and not with `strip`', () => {
    expect(carriedMetadata(described, 'keep', { ...options, format: 'png' })).toEqual(described);
    expect(carriedMetadata(described, 'strip', { ...options, format: 'png' })).toEqual({});
  });

  it('are found among other Photoshop resources, whose thumbnail is left behind', async () => {
    const thumbnail = join('8BIM', [4, 0x0c, 0, 0], u32be(5), 'JPEG!', [0]);
    const iptc = join('8BIM', [4, 4, 3], 'abc', u32be(described.iptc!.length), described.iptc!);
    const payload = join('Photoshop 3.0\0', thumbnail, iptc);
    const jpeg = await bytesOf(photo().jpeg());
    const segment = join([0xff, 0xed, 0, payload.length + 2], payload);
    const file = join(jpeg.subarray(0, 2), segment, jpeg.subarray(2));
    expect((await readMetadata(file, 'jpeg')).iptc).toEqual(described.iptc);
  });

  it.each([
    ['a resource that is longer than the segment', join('8BIM', [4, 4, 0, 0], u32be(5000))],
    ['no resource', join('something else')],
  ])('are not found in a Photoshop segment with %s', async (_, resources) => {
    const payload = join('Photoshop 3.0\0', resources);
    const jpeg = await bytesOf(photo().jpeg());
    const file = join(jpeg.subarray(0, 2), [0xff, 0xed, 0, payload.length + 2], payload, jpeg.subarray(2));
    expect(await readMetadata(file, 'jpeg')).toEqual({});
  });
});

describe('XMP that speaks of parts that are gone', () => {
  const cleaned = (packet: string): string | undefined => {
    const options = { convertedToRgb: false, format: 'png', channels: 3, size: SIZE } as const;
    const { xmp } = carriedMetadata({ xmp: new TextEncoder().encode(packet) }, 'keep', options);
    return xmp === undefined ? undefined : new TextDecoder().decode(xmp);
  };
  const camera = 'xmlns:Cam="http://ns.google.com/photos/1.0/camera/"';
  const gainMap = 'xmlns:h="http://ns.adobe.com/hdr-gain-map/1.0/"';

  it.each([
    [
      'attributes, by namespace whatever the prefix',
      `<a ${camera} Cam:MotionPhoto="1" b="2"/>`,
      `<a ${camera} b="2"/>`,
    ],
    ['a whole namespace', `<a ${gainMap} h:Version="1.0" b="2"/>`, '<a b="2"/>'],
    ['elements with all that is in them', `<a ${gainMap}><h:X><b><c/></b></h:X><d/></a>`, '<a><d/></a>'],
    ['elements without content', `<a ${camera}><Cam:MicroVideo/><d/></a>`, `<a ${camera}><d/></a>`],
    ['nothing in comments', `<!-- <h:X ${gainMap}> --><a/>`, `<!-- <h:X ${gainMap}> --><a/>`],
  ])('loses %s', (_, packet, expected) => {
    expect(cleaned(packet)).toBe(expected);
  });

  it('states the size of the result', () => {
    expect(cleaned('<a exif:PixelXDimension="4032" tiff:ImageLength="1"/>')).toBe(
      '<a exif:PixelXDimension="640" tiff:ImageLength="480"/>',
    );
    expect(cleaned('<exif:PixelYDimension> 3024 </exif:PixelYDimension>')).toBe(
      '<exif:PixelYDimension> 480 </exif:PixelYDimension>',
    );
  });

  it.each(['<a', '<a b="1>', '<a></a></a>', '<!-- a', '<a =/>'])('is dropped when it is broken: %s', (packet) => {
    expect(cleaned(packet)).toBe(undefined);
  });
});

describe('carriedMetadata', () => {
  const rgb = { convertedToRgb: false, format: 'png', channels: 3, size: SIZE } as const;
  let source: Metadata;
  beforeAll(async () => {
    source = await readMetadata(await described('jpeg'), 'jpeg');
  });
  const kinds = (metadata: Metadata): string => Object.keys(metadata).sort().join();

  it('keeps everything, or only the profile', () => {
    expect(kinds(carriedMetadata(source, 'keep', rgb))).toBe('exif,icc,xmp');
    expect(kinds(carriedMetadata(source, 'strip', rgb))).toBe('icc');
    expect(carriedMetadata({}, 'keep', rgb)).toEqual({});
  });

  it('keeps only a profile that fits the pixels', async () => {
    expect(kinds(carriedMetadata(source, 'keep', { ...rgb, channels: 4 }))).toBe('exif,icc,xmp');
    expect(kinds(carriedMetadata(source, 'keep', { ...rgb, channels: 1 }))).toBe('exif,xmp');
    expect(kinds(carriedMetadata(source, 'strip', { ...rgb, convertedToRgb: true }))).toBe('');
    const grey = source.icc!.slice();
    grey.set(Buffer.from('GRAY'), 16);
    expect(kinds(carriedMetadata({ icc: grey }, 'keep', { ...rgb, channels: 2 }))).toBe('icc');
    expect(kinds(carriedMetadata({ icc: grey }, 'keep', rgb))).toBe('');
    expect(kinds(carriedMetadata({ icc: large }, 'keep', rgb)), 'CMYK').toBe('');
  });

  it.each([
    ['<a tiff:Orientation="6" tiff:Make="6"/>', '<a tiff:Orientation="1" tiff:Make="6"/>'],
    ["<a tiff:Orientation = '8'/>", "<a tiff:Orientation = '1'/>"],
    ['<tiff:Orientation>3</tiff:Orientation>', '<tiff:Orientation>1</tiff:Orientation>'],
    ['<a tiff:Orientation="1"/>', '<a tiff:Orientation="1"/>'],
    ['\ufeff<a/>', '\ufeff<a/>'],
  ])('turns XMP upright: %s', (packet, expected) => {
    const { xmp } = carriedMetadata({ xmp: new TextEncoder().encode(packet) }, 'keep', rgb);
    expect(new TextDecoder('utf-8', { ignoreBOM: true }).decode(xmp)).toBe(expected);
  });

  it('drops broken EXIF, and XMP that is no text', () => {
    const broken = { exif: join('nonsense'), xmp: Uint8Array.of(0xff, 0xfe, 0, 0) };
    expect(carriedMetadata(broken, 'keep', rgb)).toEqual({});
  });
});
