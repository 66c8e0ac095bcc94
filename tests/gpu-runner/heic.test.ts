/** HEIC through the decoder itself: libheif and libde265 in WebAssembly. */
import { readImageHeader } from '@deblur/shared/image-header/index.ts';
import { readMetadata } from '@deblur/shared/metadata/index.ts';
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { sharpCodec } from '../../gpu-runner/pictures/sharp-codec.ts';
import { psnr } from '../suites/fidelity-measures.ts';
import { fixture } from './support/images.ts';

/** What the fixtures were made from; pillow-heif wrote them. */
async function original(): Promise<{ width: number; height: number; channels: 3; data: Uint8Array }> {
  const crop = sharp(await fixture('kodak/kodim23.png')).extract({ left: 120, top: 60, width: 400, height: 300 });
  const data = await crop.resize(96, 64, { fit: 'fill' }).removeAlpha().raw().toBuffer();
  return { width: 96, height: 64, channels: 3, data };
}

describe('HEIC', () => {
  it.each([
    ['photo.heic', 40],
    ['photo-ten-bit.heic', 30],
  ])('%s has the pixels that were encoded', async (name, decibels) => {
    const bytes = new Uint8Array(await fixture(`fidelity/${name}`));
    const header = readImageHeader(bytes);
    expect(header).toEqual({ ...header, format: 'heic', width: 96, height: 64, channels: 3, bitDepth: 8 });
    expect(psnr(await sharpCodec.decode(bytes, header), await original())).toBeGreaterThan(decibels);
  });

  it('has its EXIF and its profile', async () => {
    const { exif, icc } = await readMetadata(new Uint8Array(await fixture('fidelity/photo.heic')), 'heic');
    expect(Buffer.from(exif!).toString('latin1')).toContain('A photographer');
    expect(Buffer.from(icc!.subarray(36, 40)).toString()).toBe('acsp');
  });

  it('with damaged bytes is restored, or refused with a code, and the next one is decoded', async () => {
    const whole = new Uint8Array(await fixture('fidelity/photo.heic'));
    let state = 1;
    for (let round = 0; round < 150; round++) {
      const damaged = whole.slice();
      for (let i = 0; i < 4; i++) {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        damaged[state % damaged.length] = state >>> 24;
      }
      await decode(damaged).catch((error: unknown) => expect(error).toBeInstanceOf(DeblurError));
    }
    expect((await decode(whole)).data).toHaveLength(96 * 64 * 3);
  });

  it('that claims another size than its HEVC data has is refused', async () => {
    const bytes = new Uint8Array(await fixture('fidelity/photo.heic'));
    const at = Buffer.from(bytes).indexOf('ispe') + 8;
    new DataView(bytes.buffer).setUint32(at, 48);
    await expect(decode(bytes)).rejects.toMatchObject({ code: 'unsupported_media_type' });
  });
});

async function decode(bytes: Uint8Array): Promise<{ data: Uint8Array | Uint16Array }> {
  const header = readImageHeader(bytes);
  if (header.width * header.height > 1e6) throw new DeblurError('image_too_many_pixels', 'more than the test allows');
  return sharpCodec.decode(bytes, header);
}
