import { cleanExif } from '@deblur/shared/metadata/index.ts';
import { describe, expect, it } from 'vitest';
import { exifWithThumbnail, THUMBNAIL } from './support/exif.ts';
import { join } from './support/pictures.ts';

const SIZE = { width: 4000, height: 3000 };

describe('cleanExif', () => {
  it.each([true, false])('removes orientation and thumbnail, and nothing else: little-endian %s', (littleEndian) => {
    const exif = exifWithThumbnail({ littleEndian });
    const cleaned = cleanExif(exif, SIZE)!;
    const { orientationAt, nextAt, keptUntil } = exifWithThumbnail.layout;
    expect(Buffer.from(cleaned).includes(THUMBNAIL)).toBe(false);
    expect(cleaned.length, 'cut where only the thumbnail was').toBe(keptUntil);
    const expected = exif.slice(0, keptUntil);
    expected.set(littleEndian ? [1, 0] : [0, 1], orientationAt);
    expected.fill(0, nextAt, nextAt + 4);
    expect([...cleaned]).toEqual([...expected]);
    expect(exif, 'its input is not changed').toEqual(exifWithThumbnail({ littleEndian }));
  });

  it.each([true, false])('states the size of the restored picture: little-endian %s', (littleEndian) => {
    const cleaned = cleanExif(exifWithThumbnail({ littleEndian }), { width: 3024, height: 4032 })!;
    const view = new DataView(cleaned.buffer, cleaned.byteOffset);
    expect(view.getUint32(exifWithThumbnail.layout.exifIfd + 10, littleEndian)).toBe(3024);
  });

  it.each([
    ['BYTE', 1, 1],
    ['LONG', 4, 1],
    ['SSHORT', 8, 1],
    ['SHORT three times', 3, 3],
    ['UNDEFINED a hundred times', 7, 100],
  ])('turns an orientation of type %s into one SHORT of 1', (_, type, count) => {
    const exif = exifWithThumbnail();
    const entry = exifWithThumbnail.layout.orientationAt - 8;
    const view = new DataView(exif.buffer);
    view.setUint16(entry + 2, type, true);
    view.setUint32(entry + 4, count, true);
    const cleaned = cleanExif(exif, SIZE)!;
    const expected = [0x12, 0x01, type === 4 ? 4 : 3, 0, 1, 0, 0, 0, 1, 0, 0, 0];
    expect([...cleaned.subarray(entry, entry + 12)]).toEqual(expected);
  });

  it('takes the prefix of JPEG, and is idempotent', () => {
    const once = cleanExif(join('Exif\0\0', exifWithThumbnail()), SIZE)!;
    expect(once).toEqual(cleanExif(exifWithThumbnail(), SIZE));
    expect(cleanExif(once, SIZE)).toEqual(once);
  });

  it('keeps what a thumbnail claims of the rest', () => {
    const exif = exifWithThumbnail({ thumbnailAt: 0, thumbnailLength: 100_000 });
    const cleaned = cleanExif(exif, SIZE)!;
    const { artistAt, keptUntil } = exifWithThumbnail.layout;
    expect(cleaned.length).toBe(keptUntil);
    expect(Buffer.from(cleaned.subarray(artistAt, artistAt + 12)).toString()).toBe('Ada Lovelace');
  });

  it('keeps what lies behind the thumbnail at its place', () => {
    const exif = join(exifWithThumbnail(), 'a maker note');
    const cleaned = Buffer.from(cleanExif(exif, SIZE)!);
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
    expect(cleanExif(join(content), SIZE)).toBeUndefined();
  });
});
