import { cleanExif } from '@deblur/shared/metadata/index.ts';
import { describe, expect, it } from 'vitest';
import { exifWithThumbnail, THUMBNAIL } from './support/exif.ts';
import { join } from './support/pictures.ts';

describe('cleanExif', () => {
  it.each([true, false])('removes orientation and thumbnail, and nothing else: little-endian %s', (littleEndian) => {
    const exif = exifWithThumbnail({ littleEndian });
    const cleaned = cleanExif(exif)!;
    const { orientationAt, nextAt, keptUntil } = exifWithThumbnail.layout;
    expect(Buffer.from(cleaned).includes(THUMBNAIL)).toBe(false);
    expect(cleaned.length, 'cut where only the thumbnail was').toBe(keptUntil);
    const expected = exif.slice(0, keptUntil);
    expected.set(littleEndian ? [1, 0] : [0, 1], orientationAt);
    expected.fill(0, nextAt, nextAt + 4);
    expect([...cleaned]).toEqual([...expected]);
    expect(exif, 'its input is not changed').toEqual(exifWithThumbnail({ littleEndian }));
  });

  it('takes the prefix of JPEG, and is idempotent', () => {
    const once = cleanExif(join('Exif\0\0', exifWithThumbnail()))!;
    expect(once).toEqual(cleanExif(exifWithThumbnail()));
    expect(cleanExif(once)).toEqual(once);
  });

  it('keeps what a thumbnail claims of the rest', () => {
    const exif = exifWithThumbnail({ thumbnailAt: 0, thumbnailLength: 100_000 });
    const cleaned = cleanExif(exif)!;
    const { artistAt, keptUntil } = exifWithThumbnail.layout;
    expect(cleaned.length).toBe(keptUntil);
    expect(Buffer.from(cleaned.subarray(artistAt, artistAt + 12)).toString()).toBe('Ada Lovelace');
  });

  it('keeps what lies behind the thumbnail at its place', () => {
    const exif = join(exifWithThumbnail(), 'a maker note');
    const cleaned = Buffer.from(cleanExif(exif)!);
    expect(cleaned.length).toBe(exif.length);
    expect(cleaned.indexOf('a maker note')).toBe(exif.length - 12);
    expect(cleaned.includes(THUMBNAIL)).toBe(false);
  });

  it.each([
    ['nothing', ''],
    ['no TIFF structure', 'hello, hello, hello'],
    ['a directory outside', 'II*\0\xff\0\0\0'],
    ['a directory inside the header', 'II*\0\x02\0\0\0\0\0\0\0'],
    ['more entries than bytes', 'II*\0\x08\0\0\0\xff\xff\0\0\0\0'],
  ])('gives up on %s', (_, content) => {
    expect(cleanExif(join(content))).toBeUndefined();
  });
});
