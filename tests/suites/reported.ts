/** Kinds of files that other services were reported to get wrong (tests/fixtures/reported/), with the right answer at every placement. */
import { readImageHeader } from '@deblur/shared/image-header/index.ts';
import { TAG, TiffReader } from '@deblur/shared/image-header/ifd.ts';
import { ByteView } from '@deblur/shared/image-header/byte-view.ts';
import { readMetadata, type Metadata } from '@deblur/shared/metadata/index.ts';
import { describe, expect, it } from 'vitest';
import { jpegOfScans, pngThatInflatesTo, pngWithProfileOf, tiffWithTileOf } from './bombs.ts';
import { fidelityFile } from './fidelity-files.ts';
import { psnr } from './fidelity-measures.ts';
import type { FidelityPlacement, FidelitySession } from './fidelity-session.ts';

type Carries = FidelityPlacement['carries'];

export function reportedCases(session: FidelitySession, carries: Carries): void {
  containerCases(session, carries);
  orientationCases(session);
  colourCases(session, carries);
  descriptionCases(session, carries);
  describe('descriptions of parts that the result no longer has are removed', () => {
    it.each(['jpeg', 'png', 'webp'] as const)(
      'from the XMP of a motion photo with a gain map, as %s',
      async (format) => {
        const { metadata } = await session.restored('jpeg-xmp-gainmap-motionphoto.jpg', { format });
        const packet = new TextDecoder().decode(metadata.xmp);
        expect(packet).toContain('rdf:RDF');
        expect(packet).not.toMatch(/MotionPhoto|MicroVideo|Container:|GainMap|hdrgm/);
      },
    );

    it('from XMP that goes on in further segments', async () => {
      const { metadata } = await session.restored('jpeg-extended-xmp.jpg', { format: 'jpeg' });
      expect(new TextDecoder().decode(metadata.xmp)).not.toContain('HasExtendedXMP');
    });
  });
}

function descriptionCases(session: FidelitySession, { formats }: Carries): void {
  it.each(['jpeg', 'png'] as const)('IPTC, comment and density stay, as %s', async (format) => {
    const name = 'jpeg-exif-orientation6-dimensions.jpg';
    const { iptc, comment, density } = await readMetadata(fidelityFile(name), 'jpeg');
    expect(density).toEqual({ x: 300, y: 300, unit: 'inch' });
    expect((await session.restored(name, { format })).metadata).toMatchObject({ iptc, comment, density });
  });

  if (!formats.includes('tiff')) return;
  it('EXIF and IPTC of a TIFF stay', async () => {
    const { metadata } = await session.restored('tiff-exif-iptc.tif', { format: 'jpeg' });
    const exif = new TextDecoder('latin1').decode(metadata.exif);
    expect(exif).toContain('Somebody');
    expect(exif).toContain('2020:01:02 03:04:05');
    expect(metadata.iptc?.length).toBeGreaterThan(0);
  });
}

function containerCases(session: FidelitySession, { formats }: Carries): void {
  describe('a picture whose rows all came is restored', () => {
    it.each([
      'jpeg-no-eoi.jpg',
      'jpeg-no-eoi-video-trailer.jpg',
      'png-no-iend.png',
      'webp-animated-one-frame.webp',
      ...(formats.includes('tiff') ? ['tiff-bigtiff.tif'] : []),
    ])('%s', async (name) => {
      const source = await session.open(fidelityFile(name));
      const { header, image } = await session.restored(name);
      expect(header).toMatchObject({ width: 256, height: 192, channels: 3 });
      expect(psnr(image, source.image)).toBeGreaterThan(30);
    });

    it.each(['jpeg-no-eoi.jpg', 'png-no-iend.png', 'progressive.jpg'])(
      'and refused when some are missing: %s',
      async (name) => {
        const file = fidelityFile(name);
        for (const share of [0.5, 0.9]) {
          expect(await session.refusal(file.subarray(0, Math.floor(file.length * share)))).toBe('image_truncated');
        }
      },
    );
  });

  it.each(['dng-thumbnail-in-ifd0.dng', 'tiff-cielab8.tif', 'png-16bit-cicp-bt2020-pq.png'])(
    '%s is refused by name',
    async (name) => {
      expect(await session.refusal(fidelityFile(name))).toBe('unsupported_media_type');
    },
  );
}

function orientationCases(session: FidelitySession): void {
  describe('orientation in any encoding', () => {
    it('turns once when its count is 3', async () => {
      const { header, metadata } = await session.restored('jpeg-orientation-count3.jpg', { format: 'jpeg' });
      expect(header).toMatchObject({ width: 192, height: 256, orientation: 1 });
      expect(exifValue(metadata, TAG.orientation)).toBe(1);
    });

    it('leaves EXIF with the width and height of the upright picture', async () => {
      const { header, metadata } = await session.restored('jpeg-exif-orientation6-dimensions.jpg', { format: 'jpeg' });
      expect(header).toMatchObject({ width: 192, height: 256 });
      expect([exifValue(metadata, TAG.pixelWidth), exifValue(metadata, TAG.pixelHeight)]).toEqual([192, 256]);
    });
  });
}

/** Of IFD0, or of the Exif directory below it. */
function exifValue({ exif }: Metadata, tag: number): number | undefined {
  const reader = new TiffReader(new ByteView(exif ?? new Uint8Array()));
  const main = reader.readIfd(reader.firstIfd);
  const below = reader.tagValue(main, TAG.exifIfd);
  return reader.tagValue(main, tag) ?? (below === undefined ? undefined : reader.tagValue(reader.readIfd(below), tag));
}

function colourCases(session: FidelitySession, { formats }: Carries): void {
  describe('what says how numbers are meant is carried', () => {
    const p3 = { kind: 'cicp', primaries: 12, transfer: 13 } as const;

    it.each([
      ['png-cicp-displayp3.png', { colour: p3 }],
      ['png-gama-1.0.png', { colour: { kind: 'gamma', gamma: 100_000 } }],
    ])('%s as PNG, by the same chunks', async (name, expected) => {
      for (const metadata of ['keep', 'strip'] as const) {
        expect((await session.restored(name, { metadata })).metadata).toMatchObject(expected);
      }
    });

    it.each(['jpeg', 'webp'] as const)('CICP and gamma as %s, by a profile', async (format) => {
      const displayP3 = (await session.restored('png-cicp-displayp3.png', { format })).metadata.icc!;
      // Red of Display P3 adapted to D50: X of 0.5151 (SMPTE EG 432-1), against 0.4361 of sRGB.
      expect(redX(displayP3)).toBeCloseTo(0.5151, 3);
      const linear = (await session.restored('png-gama-1.0.png', { format })).metadata.icc!;
      expect(redX(linear)).toBeCloseTo(0.4361, 3);
      expect(gammaOf(linear, 'rTRC')).toBe(1);
    });

    it('a grey profile as WebP, by an RGB profile with its curve', async () => {
      const source = fidelityFile('grey-jpeg-icc-gamma1.8.jpg');
      const { icc } = await readMetadata(source, 'jpeg');
      const { metadata } = await session.restored('grey-jpeg-icc-gamma1.8.jpg', { format: 'webp' });
      expect(tag(metadata.icc!, 'gTRC')).toEqual(tag(icc!, 'kTRC'));
      expect(new TextDecoder().decode(metadata.icc!.subarray(16, 20))).toBe('RGB ');
    });

    if (!formats.includes('avif')) return;
    it('the nclx box of an AVIF as PNG and AVIF', async () => {
      for (const format of ['png', 'avif'] as const) {
        expect((await session.restored('avif-nclx-displayp3.avif', { format })).metadata).toEqual({ colour: p3 });
      }
    });

    it('premultiplied colours of an AVIF are divided by alpha', async () => {
      const { image } = await session.restored('avif-premultiplied-alpha.avif');
      const straight = await session.open(fidelityFile('avif-premultiplied-alpha.avif'));
      expect(readImageHeader(fidelityFile('avif-premultiplied-alpha.avif')).premultiplied).toBe(true);
      expect(psnr(image, straight.image)).toBeGreaterThan(20);
      // A premultiplied colour is never brighter than its alpha: some of these are, by far.
      const brighter = Array.from(
        { length: image.data.length / 4 },
        (_, p) => image.data[4 * p]! > image.data[4 * p + 3]! + 60,
      );
      expect(brighter.filter(Boolean).length).toBeGreaterThan(100);
    });
  });
}

/** The data of a tag of an ICC profile (ICC.1 § 7.3). */
function tag(icc: Uint8Array, signature: string): Uint8Array {
  const view = new DataView(icc.buffer, icc.byteOffset);
  for (let at = 132; at < 132 + 12 * view.getUint32(128); at += 12) {
    if (new TextDecoder().decode(icc.subarray(at, at + 4)) !== signature) continue;
    return icc.slice(view.getUint32(at + 4), view.getUint32(at + 4) + view.getUint32(at + 8));
  }
  throw new Error(`no ${signature}`);
}

const fixedAt = (data: Uint8Array, at: number): number => new DataView(data.buffer).getInt32(at) / 65_536;
const redX = (icc: Uint8Array): number => fixedAt(tag(icc, 'rXYZ'), 8);
const gammaOf = (icc: Uint8Array, curve: string): number => fixedAt(tag(icc, curve), 12);

export function bombCases(session: FidelitySession): void {
  describe('a small file that asks for enormous work', () => {
    it('is refused: a JPEG of 1,000 scans', async () => {
      expect(await session.refusal(jpegOfScans(1_000))).toBe('image_undecodable');
    });

    it('is refused: a TIFF of one pixel in a tile of 65,536×65,536', async () => {
      expect(await session.refusal(tiffWithTileOf(65_536))).toBe('image_undecodable');
    });

    it('is restored as far as it is a picture: 8×8 pixels whose data inflates to 200 MB', async () => {
      const { header, image } = await session.open(await session.restoredBytes(pngThatInflatesTo(2e8)));
      expect(header).toMatchObject({ width: 8, height: 8 });
      expect(image.data).toHaveLength(64);
    });

    it('is restored without it: a profile that inflates to 200 MB', async () => {
      const { metadata } = await session.open(await session.restoredBytes(pngWithProfileOf(2e8)));
      expect(metadata).toEqual({});
    });
  });
}
