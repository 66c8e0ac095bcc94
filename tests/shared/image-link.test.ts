import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { fromBase64url } from '@deblur/shared/net/http.ts';
import { parseSigningKeys, signPath, sourceUrlOf, verifyPath } from '@deblur/shared/protocol/image-link.ts';

const HEX = [
  { key: '0a'.repeat(32), salt: '1b'.repeat(16) },
  { key: '2c'.repeat(64), salt: '3d' },
];
const KEYS = parseSigningKeys(HEX.map(({ key, salt }) => `${key}:${salt}`).join(', '));
const URL_WITH_EVERYTHING = 'https://cdn.example.com/a b?v=1&ü#x';

/** Node's HMAC over what the description says. */
function signed(pair: number, options: string, source: string): string {
  const { key, salt } = HEX[pair]!;
  const rest = `/${options}/${Buffer.from(source).toString('base64url')}`;
  const mac = createHmac('sha256', Buffer.from(key, 'hex')).update(Buffer.from(salt, 'hex')).update(rest);
  return `/i/${mac.digest('base64url')}${rest}`;
}

describe('a signed path', () => {
  it.each([0, 1])('is HMAC-SHA256 of salt and rest, key %i', async (pair) => {
    expect(await signPath(KEYS[pair]!, URL_WITH_EVERYTHING)).toBe(signed(pair, '_', URL_WITH_EVERYTHING));
    expect(await signPath(KEYS[pair]!, URL_WITH_EVERYTHING, { format: 'webp', exp: 4102444800 })).toBe(
      signed(pair, 'format:webp,exp:4102444800', URL_WITH_EVERYTHING),
    );
  });

  it('is this very text', async () => {
    expect(await signPath(KEYS[0]!, 'https://cdn.example.com/p.jpg', { format: 'webp' })).toBe(
      '/i/YvNqJvQGYOMaVGe0809_LIbJyPhw1GvRsIXsxGVgbVA/format:webp/aHR0cHM6Ly9jZG4uZXhhbXBsZS5jb20vcC5qcGc',
    );
  });

  it.each([0, 1])('is verified with key %i among others', async (pair) => {
    const text = await verifyPath(KEYS, signed(pair, '_', URL_WITH_EVERYTHING));
    expect(text?.options).toBe('_');
    expect(text && sourceUrlOf(text)).toBe(URL_WITH_EVERYTHING);
  });

  it('is not verified without its key', async () => {
    const path = signed(1, '_', URL_WITH_EVERYTHING);
    expect(await verifyPath(KEYS.slice(0, 1), path)).toBeNull();
    expect(await verifyPath([], path)).toBeNull();
  });

  it('is refused with any character changed, dropped or added', async () => {
    const path = signed(0, 'format:webp', 'https://cdn.example.com/p.jpg');
    const characters = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));
    const forged = Array.from(path).flatMap((own, at) => {
      const [before, after] = [path.slice(0, at), path.slice(at + 1)];
      const others = characters.filter((character) => character !== own).map((other) => before + other + after);
      return [...others, before + after, `${before}A${own}${after}`];
    });
    expect(forged.length).toBe(path.length * 96);
    const verdicts = await Promise.all(forged.map((one) => verifyPath(KEYS.slice(0, 1), one)));
    expect(forged.filter((_, i) => verdicts[i] !== null)).toEqual([]);
    expect(await verifyPath(KEYS, path)).not.toBeNull();
  });
});

describe('keys', () => {
  it.each(['', ' , '])('may be none: "%s"', (text) => expect(parseSigningKeys(text)).toEqual([]));

  it.each([
    ['half a pair', '0a'.repeat(32)],
    ['a third part', `${'0a'.repeat(32)}:1b:2c`],
    ['no hexadecimal', `${'xy'.repeat(32)}:1b`],
    ['half a byte', `${'0a'.repeat(32)}a:1b`],
    ['no salt', `${'0a'.repeat(32)}:`],
    ['a short key', `${'0a'.repeat(31)}:1b`],
  ])('are refused without being shown: %s', (_, text) => {
    expect(() => parseSigningKeys(text)).toThrow(/^must have|^must be/);
    expect(() => parseSigningKeys(text)).not.toThrow(/0a|xy/);
  });
});

describe('base64url', () => {
  it('is read as it would be written, and not otherwise', () => {
    for (let length = 1; length < 70; length++) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 89 + length * 31) & 255);
      expect(fromBase64url(Buffer.from(bytes).toString('base64url'))).toEqual(bytes);
    }
    for (const text of ['', 'A', 'AB', 'AAB', 'AA==', 'A A', 'AA\n', '+/+/', 'ÄÄ'])
      expect(fromBase64url(text)).toBeNull();
    expect(() => sourceUrlOf({ options: '_', source: '_w' })).toThrow('base64url');
  });
});
