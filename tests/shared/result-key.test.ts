import { isSha256Hex, sha256Hex } from '@deblur/shared/net/digest.ts';
import { METADATA_MODES, OUTPUT_FORMATS, type EncodeOptions } from '@deblur/shared/protocol/options.ts';
import { canonicalEncoding, restorationKey, resultKey, type Restoration } from '@deblur/shared/protocol/result-key.ts';
import { describe, expect, it } from 'vitest';

const restoration: Restoration = { sourceDigest: 'a'.repeat(64), model: 'dhnet-edge', modelVersion: 'b'.repeat(64) };
const encoding: EncodeOptions = { format: 'jpeg', quality: 90, metadata: 'keep' };

describe('sha256Hex', () => {
  it('is SHA-256 (FIPS 180-4, example B.1)', async () => {
    const expected = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
    expect(await sha256Hex('abc')).toBe(expected);
    expect(await sha256Hex(Uint8Array.of(0x61, 0x62, 0x63))).toBe(expected);
    expect(isSha256Hex(expected)).toBe(true);
  });

  it.each(['', 'A'.repeat(64), 'a'.repeat(63), `${'a'.repeat(64)}\n`])('does not take %j for a digest', (value) => {
    expect(isSha256Hex(value)).toBe(false);
  });
});

/** Golden values: stored results are found by these names, so a change here orphans every one of them. */
describe('keys', () => {
  it('have the names that are in storage', async () => {
    expect(await restorationKey(restoration)).toBe('18f9b256742266967f18f0d35fea1dc90d2a5cd760fbe893839df40b01aa4023');
    expect(await restorationKey({ ...restoration, tile: 256 })).toBe(
      '5f4d6b7204d1c4f74a8bab482e44899fef68192e65f2c948c97afb56d573f1a2',
    );
    expect(await resultKey('c'.repeat(64), encoding)).toBe(
      '594d35fef365a16f1f6fd9d621082dc7f28b409ccae5e8dec5b33325fe8dcc1c',
    );
    expect(await resultKey('c'.repeat(64), { ...encoding, format: 'png' })).toBe(
      '272c3c0661aef46d9d6c249513175b4e68867bbd97a47e74f79dca74320f0ea9',
    );
  });

  it('of a restoration differ by every field', async () => {
    const variants: Restoration[] = [
      restoration,
      { ...restoration, sourceDigest: 'd'.repeat(64) },
      { ...restoration, modelVersion: 'd'.repeat(64) },
      { ...restoration, tile: 128 },
      { ...restoration, tile: 256 },
      ...['dhnet', 'dhnet-b'].map((model) => ({ ...restoration, model })),
    ];
    const keys = await Promise.all(variants.map(restorationKey));
    expect(new Set(keys).size).toBe(variants.length);
    expect(keys.every(isSha256Hex)).toBe(true);
  });

  it('of a restoration without a tile are the same however it is left out', async () => {
    expect(await restorationKey({ ...restoration, tile: undefined })).toBe(await restorationKey(restoration));
  });

  it('of a result differ by restoration, format, quality and metadata', async () => {
    const names: string[] = [];
    for (const format of OUTPUT_FORMATS) {
      for (const metadata of METADATA_MODES) {
        for (const quality of [1, 90, 100]) names.push(await resultKey('c'.repeat(64), { format, metadata, quality }));
      }
    }
    // PNG has one quality.
    expect(new Set(names).size).toBe(OUTPUT_FORMATS.length * 2 * 3 - 2 * 2);
    expect(names).not.toContain(await resultKey('d'.repeat(64), encoding));
  });

  it('do not depend on the quality of a PNG, which means nothing', async () => {
    const png: EncodeOptions = { ...encoding, format: 'png' };
    expect(await resultKey('c'.repeat(64), png)).toBe(await resultKey('c'.repeat(64), { ...png, quality: 12 }));
    expect(canonicalEncoding(encoding)).toEqual(encoding);
  });
});
