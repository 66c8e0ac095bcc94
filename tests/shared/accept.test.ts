import { negotiateFormat } from '@deblur/shared/protocol/accept.ts';
import { assertFormatHolds } from '@deblur/shared/protocol/format-limits.ts';
import type { ImageFormat } from '@deblur/shared/image-header/index.ts';
import type { OutputFormat } from '@deblur/shared/protocol/options.ts';
import { describe, expect, it } from 'vitest';

const CHROME = 'image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8';
const FIREFOX_PAGE = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';

const SMALL = { width: 640, height: 480 };

describe('negotiateFormat', () => {
  it.each<[ImageFormat, OutputFormat]>([
    ['jpeg', 'jpeg'],
    ['png', 'png'],
    ['webp', 'webp'],
    ['avif', 'avif'],
    ['tiff', 'png'],
    ['gif', 'png'],
  ])('keeps the format of a %s: %s', (source, expected) => {
    for (const accept of [null, '', ' , ,', '*/*', 'image/*', CHROME, FIREFOX_PAGE, 'image/*;q=0.1']) {
      expect(negotiateFormat(accept, source, SMALL), String(accept)).toBe(expected);
    }
  });

  it.each<[string, ImageFormat, OutputFormat]>([
    // The better liked one wins over the source's own.
    ['image/webp, image/jpeg;q=0.9', 'jpeg', 'webp'],
    ['image/png;q=0.5, image/jpeg;q=0.4', 'jpeg', 'png'],
    ['image/jpeg;q=0.001, image/webp;q=0', 'webp', 'jpeg'],
    // What clients write for JPEG, and a charset that means nothing.
    ['image/jpg', 'png', 'jpeg'],
    ['image/pjpeg', 'png', 'jpeg'],
    ['image/jpeg;charset=utf-8', 'png', 'jpeg'],
    // Ties: the source's own, else webp, avif, jpeg, png.
    ['image/webp, image/avif, image/jpeg, image/png', 'avif', 'avif'],
    ['image/png, image/jpeg, image/avif, image/webp', 'tiff', 'png'],
    ['image/jpeg, image/avif, image/webp', 'tiff', 'webp'],
    ['image/jpeg, image/avif', 'tiff', 'avif'],
    ['image/jpeg, image/png', 'webp', 'jpeg'],
    // The more specific range wins, whatever the order and its q.
    ['image/*;q=1, image/jpeg;q=0', 'jpeg', 'webp'],
    ['image/jpeg;q=0.2, image/*;q=0.1, */*;q=1', 'jpeg', 'jpeg'],
    ['*/*;q=0.1, image/png;q=0.2', 'jpeg', 'png'],
    ['*/*, image/*;q=0, image/avif;q=0.5', 'jpeg', 'avif'],
    // Of two equal ranges the better one.
    ['image/jpeg;q=0.1, image/jpeg;q=0.9, image/png;q=0.5', 'png', 'jpeg'],
    // Case, blanks, empty elements, parameters.
    ['IMAGE/WebP', 'jpeg', 'webp'],
    [' ,, image/png ;\tq=1.000 , ,', 'jpeg', 'png'],
    ['image/png;Q=0.3,image/webp;q=0.2;', 'jpeg', 'png'],
    ['image/png;profile="a,b;q=0", image/webp;q=0.1', 'png', 'webp'],
    ['image/png; x="\\"", image/avif', 'png', 'avif'],
  ])('%s for a %s: %s', (accept, source, expected) => {
    expect(negotiateFormat(accept, source, SMALL)).toBe(expected);
  });

  it.each([
    'image',
    'image/',
    '/png',
    'image/png;q=2',
    'image/png;q=0.1234',
    'image/png;q=1.1',
    'image/png;q=-1',
    'image/png;q=',
    'image/png;q',
    'image/png q=1',
    '*/png',
    'image/png, (comment)',
    'image/png;x="open',
  ])('takes the malformed %j for no preference', (accept) => {
    expect(negotiateFormat(accept, 'jpeg', SMALL)).toBe('jpeg');
  });

  it.each(['text/html', 'image/svg+xml, image/gif', 'image/*;q=0', '*/*;q=0.0', 'image/png;v=2', 'video/*'])(
    'finds nothing acceptable in %j',
    (accept) => {
      expect(() => negotiateFormat(accept, 'jpeg', SMALL)).toThrow(expect.objectContaining({ code: 'not_acceptable' }));
    },
  );

  it('reads hostile headers to their end', () => {
    const blanks = ' '.repeat(200_000);
    for (const hostile of [
      `a/b,${blanks}x y`,
      `a/b;${blanks}x y`,
      `a/b${blanks}x`,
      `${blanks}x`,
      `a/b;a=b${blanks}x y`,
    ]) {
      expect(negotiateFormat(hostile, 'jpeg', SMALL)).toBe('jpeg');
    }
    for (const part of [';'.padEnd(30), '; ;', ';a=', ';a="\\', 'a/b;', ', ', '*/*;', 'a'.repeat(30)]) {
      const hostile = `image/png${part.repeat(600)}\u0001`;
      expect(negotiateFormat(hostile, 'jpeg', SMALL)).toBe('jpeg');
    }
  });
});

describe('formats that cannot hold the picture', () => {
  const FIREFOX = 'image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5';

  it.each<[OutputFormat, number]>([
    ['jpeg', 65_500],
    ['webp', 16_383],
    ['avif', 16_384],
  ])('%s holds %i pixels on a side and no more, either way up', (format, side) => {
    for (const size of [
      { width: side, height: 1 },
      { width: 1, height: side },
    ]) {
      expect(() => assertFormatHolds(format, size)).not.toThrow();
      const larger = { width: size.width + (size.width > 1 ? 1 : 0), height: size.height + (size.height > 1 ? 1 : 0) };
      expect(() => assertFormatHolds(format, larger)).toThrow(
        expect.objectContaining({ code: 'invalid_option', detail: expect.stringContaining(`${format} holds`) }),
      );
    }
  });

  it.each<[string, ImageFormat, number, OutputFormat]>([
    [FIREFOX, 'jpeg', 16_383, 'webp'],
    [FIREFOX, 'jpeg', 16_384, 'avif'],
    [FIREFOX, 'jpeg', 16_400, 'png'],
    ['image/webp,*/*;q=0.5', 'jpeg', 16_400, 'jpeg'],
    ['*/*', 'webp', 16_384, 'png'],
    ['*/*', 'jpeg', 65_501, 'png'],
    ['', 'avif', 16_385, 'png'],
  ])('are left out of negotiation: %s for a %s of %i pixels', (accept, source, width, expected) => {
    expect(negotiateFormat(accept, source, { width, height: 10 })).toBe(expected);
  });

  it('are not acceptable when they are all that the client accepts', () => {
    expect(() => negotiateFormat('image/webp, image/avif', 'jpeg', { width: 16_400, height: 70 })).toThrow(
      expect.objectContaining({ code: 'not_acceptable', detail: expect.stringContaining('image/jpeg, image/png') }),
    );
  });
});
