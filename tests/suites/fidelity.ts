/**
 * The fidelity contract as one case-suite. Both placements pass the same cases; what a placement does not carry, it
 * refuses with the code that says so.
 */
import type { ErrorCode } from '@deblur/shared/protocol/errors.ts';
import { readImageHeader } from '@deblur/shared/image-header/index.ts';
import { readMetadata } from '@deblur/shared/metadata/index.ts';
import { planTiles } from '@deblur/shared/pixels/tiling.ts';
import { describe, expect, it } from 'vitest';
import { pngThatClaims } from './bombs.ts';
import { fidelityFile } from './fidelity-files.ts';
import { addedSteps, alphaOf, largest, psnr } from './fidelity-measures.ts';
import { bombCases, reportedCases } from './reported.ts';
import { FidelitySession, type FidelityPlacement } from './fidelity-session.ts';

const WRITTEN = ['jpeg', 'png', 'webp'] as const;

export function describeFidelity(placement: FidelityPlacement): void {
  describe(`fidelity: ${placement.name}`, () => {
    const session = new FidelitySession(placement);
    sizeCases(session);
    orientationCases(session);
    metadataCases(session);
    channelCases(session);
    sourceCases(session);
    pixelCases(session);
    refusalCases(session);
    placementCases(session, placement.carries);
    reportedCases(session, placement.carries);
    bombCases(session);
  });
}

function sizeCases(session: FidelitySession): void {
  describe('size is kept', () => {
    const names = ['1x1.png', '1x37.png', '41x1.jpg', '61x47.jpg', '61x47.webp', '257x300.png'] as const;
    it.each(names)('%s, in every format', async (name) => {
      const [width, height] = name.split(/[x.]/).map(Number);
      for (const format of WRITTEN) {
        const { header, image } = await session.restored(`size-${name}`, { format });
        expect(header).toMatchObject({ format, width, height, orientation: 1, animated: false });
        expect(image.data).toHaveLength(image.width * image.height * image.channels);
      }
    });
  });
}

function orientationCases(session: FidelitySession): void {
  describe('orientation', () => {
    it.each([2, 3, 4, 5, 6, 7, 8])('%i is applied: the result is that of the upright picture', async (orientation) => {
      const upright = await session.restored('orientation-1.png');
      const { header, image } = await session.restored(`orientation-${orientation}.png`);
      expect(header.orientation).toBe(1);
      expect(image).toEqual(upright.image);
    });

    it.each(['jpg', 'webp'])('6 of a %s is applied once, whatever is written', async (extension) => {
      const upright = await session.restored('orientation-1.png');
      for (const format of WRITTEN) {
        const { header, image } = await session.restored(`orientation-6.${extension}`, { format, quality: 95 });
        expect(header).toMatchObject({ width: 90, height: 64, orientation: 1 });
        expect(psnr(image, upright.image)).toBeGreaterThan(25);
      }
    });
  });
}

function metadataCases(session: FidelitySession): void {
  describe('metadata', () => {
    const sources = ['described.jpg', 'described.png', 'described.webp'];
    it.each(sources)('of %s is kept in every format', async (name) => {
      const source = fidelityFile(name);
      const { icc } = await readMetadata(source, readImageHeader(source).format);
      expect(icc).toBeDefined();
      for (const format of WRITTEN) {
        const { metadata } = await session.restored(name, { format, metadata: 'keep' });
        expect(metadata.icc).toEqual(icc);
        expect(text(metadata.exif)).toContain('A photographer');
        expect(text(metadata.xmp)).toContain('a-fidelity-fixture');
      }
    });

    it.each(sources)('of %s is stripped in every format, but for the profile that the pixels need', async (name) => {
      const source = fidelityFile(name);
      const { icc } = await readMetadata(source, readImageHeader(source).format);
      for (const format of WRITTEN) {
        const bytes = await session.restoredBytes(source, { format, metadata: 'strip' });
        const { metadata } = await session.open(bytes);
        expect(metadata).toEqual({ icc });
        expect(text(bytes)).not.toContain('A photographer');
        expect(text(bytes)).not.toContain('a-fidelity-fixture');
      }
    });

    it('does not change pixels', async () => {
      const kept = await session.restored('described.png', { metadata: 'keep' });
      const stripped = await session.restored('described.png', { metadata: 'strip' });
      expect(stripped.image).toEqual(kept.image);
    });
  });
}

function channelCases(session: FidelitySession): void {
  describe('alpha is returned byte for byte', () => {
    it.each([
      ['rgba.png', 'png', 4],
      ['rgba.png', 'webp', 4],
      ['rgba.webp', 'webp', 4],
      ['rgba.webp', 'png', 4],
      ['grey-alpha.png', 'png', 2],
      ['palette-alpha.png', 'png', 4],
    ] as const)('%s as %s', async (name, format, channels) => {
      const source = await session.open(fidelityFile(name));
      const { header, image } = await session.restored(name, { format });
      expect(header.channels).toBe(channels);
      expect(new Set(alphaOf(image)).size).toBeGreaterThan(100);
      expect(alphaOf(image)).toEqual(alphaOf(source.image));
    });

    it('and laid over white for JPEG', async () => {
      const { header, image } = await session.restored('rgba.png', { format: 'jpeg', quality: 95 });
      expect(header.channels).toBe(3);
      // The leftmost columns are fully transparent in the source.
      const corner = Array.from({ length: 12 }, (_, x) => image.data[x * 3]!);
      expect(Math.min(...corner)).toBeGreaterThan(245);
    });
  });

  describe('grey stays grey', () => {
    it.each([
      ['grey.png', 'png'],
      ['grey.png', 'jpeg'],
      ['grey.jpg', 'jpeg'],
      ['grey.jpg', 'png'],
    ] as const)('%s as %s', async (name, format) => {
      const { header } = await session.restored(name, { format });
      expect(header).toMatchObject({ format, channels: 1 });
    });

    it('in a WebP, which has no grey: without colour', async () => {
      const { image } = await session.restored('grey.png', { format: 'webp' });
      for (let i = 0; i < image.data.length; i += image.channels) {
        expect(Math.abs(image.data[i]! - image.data[i + 2]!)).toBeLessThanOrEqual(2);
      }
    });
  });
}

/** Restoring sharp pictures changes little: what comes back resembles what was decoded, however it was stored. */
function sourceCases(session: FidelitySession): void {
  describe('every way of storing pixels is read', () => {
    it.each([
      'two-colours.png',
      'palette.png',
      'interlaced.png',
      'interlaced-palette.png',
      'progressive.jpg',
      'subsampled.jpg',
    ])('%s', async (name) => {
      const source = await session.open(fidelityFile(name));
      const { header, image } = await session.restored(name);
      const { width, height, channels } = source.header;
      expect(header).toMatchObject({ format: 'png', width, height, channels });
      expect(psnr(image, source.image)).toBeGreaterThan(18);
    });
  });
}

function pixelCases(session: FidelitySession): void {
  describe('pixels', () => {
    it.each(WRITTEN)('the same input gives the same bytes: %s', async (format) => {
      const source = fidelityFile('size-61x47.jpg');
      const first = await session.restoredBytes(source, { format });
      expect(await session.restoredBytes(source, { format })).toEqual(first);
    });

    it('a sharp picture stays above 40 dB', async () => {
      const source = await session.open(fidelityFile('photo.png'));
      const { image } = await session.restored('photo.png');
      expect(psnr(image, source.image)).toBeGreaterThan(40);
    });

    it.each(['gradient.png', 'noise.png'])('no seam shows in %s', async (name) => {
      const source = await session.open(fidelityFile(name));
      const { image } = await session.restored(name);
      const plan = planTiles(image.width, image.height, session.tiling);
      expect(plan.count).toBeGreaterThan(1);
      for (const [axis, axisPlan] of [
        ['x', plan.x],
        ['y', plan.y],
      ] as const) {
        const steps = addedSteps(source.image, image, axis);
        const { seam, elsewhere } = largest(steps, axisPlan);
        expect(seam).toBeLessThanOrEqual(elsewhere * 1.25 + 0.25);
      }
    });

    it.each([
      ['jpeg', 30],
      ['webp', 30],
    ] as const)('%s at quality 90 is close to the lossless result', async (format, decibels) => {
      const lossless = await session.restored('photo.png');
      const { image } = await session.restored('photo.png', { format, quality: 90 });
      expect(psnr(image, lossless.image)).toBeGreaterThan(decibels);
    });

    it.each(['jpeg', 'webp'] as const)('%s obeys quality', async (format) => {
      const source = fidelityFile('photo.png');
      const small = await session.restoredBytes(source, { format, quality: 30 });
      const large = await session.restoredBytes(source, { format, quality: 95 });
      expect(small.length).toBeLessThan(large.length / 2);
    });
  });
}

function refusalCases(session: FidelitySession): void {
  describe('is refused with its own code', () => {
    const half = (name: string): Uint8Array => {
      const bytes = fidelityFile(name);
      return bytes.subarray(0, Math.floor(bytes.length * 0.6));
    };
    const cases: readonly (readonly [string, () => Uint8Array, ErrorCode])[] = [
      ['a truncated JPEG', () => half('subsampled.jpg'), 'image_truncated'],
      ['a truncated progressive JPEG', () => half('progressive.jpg'), 'image_truncated'],
      ['a truncated PNG', () => half('photo.png'), 'image_truncated'],
      ['a truncated WebP', () => half('size-61x47.webp'), 'image_truncated'],
      [
        'text that calls itself a PNG',
        () => new TextEncoder().encode('I am a PNG, believe me.'),
        'unsupported_media_type',
      ],
      ['nothing', () => new Uint8Array(), 'unsupported_media_type'],
      ['an animated WebP', () => fidelityFile('animated.webp'), 'image_animated'],
      ['an animated GIF', () => fidelityFile('animated.gif'), 'image_animated'],
      ['a bomb', () => pngThatClaims(30_000), 'image_too_many_pixels'],
    ];
    it.each(cases)('%s', async (_, source, code) => {
      expect(await session.refusal(source())).toBe(code);
    });

    it('and the next picture is restored', async () => {
      await session.refusal(half('photo.png'));
      expect((await session.restored('size-61x47.jpg')).header).toMatchObject({ width: 61, height: 47 });
    });
  });
}

function placementCases(session: FidelitySession, carries: FidelityPlacement['carries']): void {
  const special = [
    ['sixteen-bit.png', carries.sixteenBit, { width: 96, height: 64, channels: 3, bitDepth: 16 }],
    ['cmyk.jpg', carries.cmyk, { width: 96, height: 64, channels: 3, cmyk: false }],
    ['photo.avif', carries.formats.includes('avif'), { width: 96, height: 64, channels: 3 }],
    ['photo.tiff', carries.formats.includes('tiff'), { width: 96, height: 64, channels: 3 }],
    ['photo.heic', carries.formats.includes('heic'), { width: 96, height: 64, channels: 3 }],
    ['photo-ten-bit.heic', carries.formats.includes('heic'), { width: 96, height: 64, channels: 3, bitDepth: 8 }],
  ] as const;
  describe('what only some placements carry', () => {
    for (const [name, carried, expected] of special) {
      if (carried) {
        it(`${name} is restored`, async () => {
          expect((await session.restored(name)).header).toMatchObject({ format: 'png', ...expected });
        });
      } else {
        it(`${name} is refused`, async () => {
          expect(await session.refusal(fidelityFile(name))).toBe('unsupported_media_type');
        });
      }
    }
    it(`AVIF is ${carries.avif ? 'written' : 'refused'}`, async () => {
      const source = fidelityFile('size-61x47.jpg');
      if (!carries.avif) return expect(await session.refusal(source, { format: 'avif' })).toBe('invalid_option');
      const bytes = await session.restoredBytes(source, { format: 'avif' });
      expect(readImageHeader(bytes)).toMatchObject({ format: 'avif', width: 61, height: 47 });
    });
  });
}

function text(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? '' : new TextDecoder('latin1').decode(bytes);
}
