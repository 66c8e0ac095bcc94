import { isSha256Hex, sha256Hex } from '@deblur/shared/net/digest.ts';
import { METADATA_MODES, OUTPUT_FORMATS, type EncodeOptions } from '@deblur/shared/protocol/options.ts';
import { canonicalEncoding, PictureKeys, type Restoration } from '@deblur/shared/protocol/result-key.ts';
import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';

const SECRET = 'a secret of the tests, long enough';
const keys = new PictureKeys(SECRET);

const restoration: Restoration = {
  scope: 'anna',
  sourceDigest: 'a'.repeat(64),
  model: 'dhnet-edge',
  modelVersion: 'b'.repeat(64),
};
const encoding: EncodeOptions = { format: 'jpeg', quality: 90, metadata: 'keep' };

const hmac = (...parts: readonly (string | number)[]): string =>
  createHmac('sha256', SECRET).update(JSON.stringify(parts)).digest('hex');

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

describe('keys', () => {
  it('are HMACs of what they name: another form orphans every stored result', async () => {
    const { scope, sourceDigest, model, modelVersion } = restoration;
    const ofPipeline = ['restoration', scope, sourceDigest, model, modelVersion, 'pipeline=2'];
    expect(await keys.restoration(restoration)).toBe(hmac(...ofPipeline, '', 'auto'));
    expect(await keys.restoration({ ...restoration, tile: 256, workingScale: 2 })).toBe(hmac(...ofPipeline, 256, 2));
    expect(await keys.result('c'.repeat(64), encoding)).toBe(hmac('result', 'c'.repeat(64), 'jpeg', 90, 'keep', 1));
    expect(await keys.source(scope, sourceDigest)).toBe(hmac('source', scope, sourceDigest));
  });

  it('are others by another secret', async () => {
    const others = new PictureKeys(`${SECRET}!`);
    expect(await others.restoration(restoration)).not.toBe(await keys.restoration(restoration));
    expect(await others.result('c'.repeat(64), encoding)).not.toBe(await keys.result('c'.repeat(64), encoding));
    expect(await others.source('anna', 'a')).not.toBe(await keys.source('anna', 'a'));
  });

  it('of a restoration differ by every field', async () => {
    const variants: Restoration[] = [
      restoration,
      { ...restoration, scope: 'bert' },
      { ...restoration, sourceDigest: 'd'.repeat(64) },
      { ...restoration, modelVersion: 'd'.repeat(64) },
      { ...restoration, tile: 128 },
      { ...restoration, tile: 256 },
      ...([1, 2, 3, 4] as const).map((workingScale) => ({ ...restoration, workingScale })),
      { ...restoration, model: 'dhnet-b' },
    ];
    const names = await Promise.all(variants.map((variant) => keys.restoration(variant)));
    expect(new Set(names).size).toBe(variants.length);
    expect(names.every(isSha256Hex)).toBe(true);
  });

  it('of a restoration are the same whether a default is named or left out', async () => {
    const named = { ...restoration, tile: undefined, workingScale: 'auto' } as const;
    expect(await keys.restoration(named)).toBe(await keys.restoration(restoration));
  });

  it('of a result differ by restoration, format, quality, metadata and strength', async () => {
    const names: string[] = [];
    for (const format of OUTPUT_FORMATS) {
      for (const metadata of METADATA_MODES) {
        for (const quality of [1, 90, 100])
          names.push(await keys.result('c'.repeat(64), { format, metadata, quality }));
      }
    }
    // PNG has one quality.
    expect(new Set(names).size).toBe(OUTPUT_FORMATS.length * 2 * 3 - 2 * 2);
    expect(names).not.toContain(await keys.result('d'.repeat(64), encoding));
    expect(names).not.toContain(await keys.result('c'.repeat(64), { ...encoding, strength: 0.5 }));
    expect(names).toContain(await keys.result('c'.repeat(64), { ...encoding, strength: 1 }));
  });

  it('do not depend on the quality of a PNG, which means nothing', async () => {
    const png: EncodeOptions = { ...encoding, format: 'png' };
    expect(await keys.result('c'.repeat(64), png)).toBe(await keys.result('c'.repeat(64), { ...png, quality: 12 }));
    expect(canonicalEncoding(encoding)).toEqual(encoding);
  });
});
