import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import { MEDIA_TYPES, OUTPUT_FORMATS, parseOptions, type Options } from '@deblur/shared/protocol/options.ts';
import { describe, expect, it } from 'vitest';

const DEFAULTS: Options = { model: 'auto', format: 'auto', quality: 90, metadata: 'keep', working_scale: 'auto' };

function refusal(raw: Record<string, unknown>): DeblurError {
  try {
    parseOptions(raw);
  } catch (error) {
    if (error instanceof DeblurError) return error;
    throw error;
  }
  throw new Error('was accepted');
}

describe('parseOptions', () => {
  it.each<[Record<string, unknown>, Partial<Options>]>([
    [{}, {}],
    [{ quality: '1' }, { quality: 1 }],
    [{ working_scale: '3' }, { working_scale: 3 }],
    [{ working_scale: 1 }, { working_scale: 1 }],
    [{ working_scale: 'auto' }, {}],
    [{ quality: 100 }, { quality: 100 }],
    [{ quality: '075' }, { quality: 75 }],
    [{ quality: undefined }, {}],
    [
      { format: 'avif', metadata: 'strip' },
      { format: 'avif', metadata: 'strip' },
    ],
    [{ model: 'dhnet-b' }, { model: 'dhnet-b' }],
    [{ tile: '128' }, { tile: 128 }],
    [{ tile: 1024 }, { tile: 1024 }],
  ])('takes %j', (raw, expected) => {
    expect(parseOptions(raw)).toEqual({ ...DEFAULTS, ...expected });
  });

  it.each([
    ['jpg', 'jpeg'],
    ['JPEG', 'jpeg'],
    ['PNG', 'png'],
  ])('takes the format %s for %s', (format, expected) => {
    expect(parseOptions({ format }).format).toBe(expected);
  });

  it.each([
    [{ quality: '' }, 'must be a whole number'],
    [{ quality: 90.5 }, 'must be a whole number'],
    [{ quality: '0' }, 'Too small: expected number to be >=1'],
    [{ tile: 130 }, 'Invalid number: must be a multiple of 32'],
  ])('says what is wrong with %j', (raw, message) => {
    expect(refusal(raw).fields[0]!.message).toBe(message);
  });

  it.each([
    [{ quality: 0 }, 'quality'],
    [{ quality: 101 }, 'quality'],
    [{ quality: 90.5 }, 'quality'],
    [{ quality: '-1' }, 'quality'],
    [{ quality: '9e1' }, 'quality'],
    [{ quality: ' 90' }, 'quality'],
    [{ quality: '' }, 'quality'],
    [{ quality: '9'.repeat(400) }, 'quality'],
    [{ quality: null }, 'quality'],
    [{ quality: ['90'] }, 'quality'],
    [{ format: 'gif' }, 'format'],
    [{ format: 'jpg2' }, 'format'],
    [{ format: 1 }, 'format'],
    [{ model: 'toString' }, 'model'],
    [{ metadata: true }, 'metadata'],
    [{ tile: 127 }, 'tile'],
    [{ tile: 96 }, 'tile'],
    [{ tile: 1056 }, 'tile'],
    [{ tile: 130 }, 'tile'],
  ])('refuses %j and names the field', (raw, field) => {
    const error = refusal(raw);
    expect(error.code).toBe('invalid_option');
    expect(new Set(error.fields.map((fault) => fault.field))).toEqual(new Set([field]));
    expect(error.fields[0]!.message).not.toBe('');
    expect(error.detail).toContain(field);
  });

  it('names every field at fault, and unknown ones before all', () => {
    const error = refusal({ quality: 0, format: 'bmp', sharpness: 5 });
    expect(error.code).toBe('unknown_option');
    expect(error.fields.map((fault) => fault.field).sort()).toEqual(['format', 'quality', 'sharpness']);
  });

  it.each(['Quality', 'qualitiy', '', 'constructor'])('does not know %j', (key) => {
    expect(refusal({ [key]: 1 }).code).toBe('unknown_option');
  });

  it('does not echo keys without end', () => {
    const raw = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`${i}`.padEnd(1000, 'x'), 1]));
    const error = refusal(raw);
    expect(error.code).toBe('unknown_option');
    expect(error.detail.length + JSON.stringify(error.fields).length).toBeLessThan(8_000);
  });
});

describe('media types', () => {
  it('are there for every format', () => {
    expect(OUTPUT_FORMATS.map((format) => MEDIA_TYPES[format])).toEqual([
      'image/jpeg',
      'image/png',
      'image/webp',
      'image/avif',
    ]);
  });
});
