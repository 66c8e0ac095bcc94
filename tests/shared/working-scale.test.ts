import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { measureChange } from '../../shared/pixels/change.ts';
import type { RawImage } from '../../shared/pixels/raw-image.ts';
import { addChange, ChangeEnlarger, reduceImage, TAPS } from '../../shared/pixels/rescale.ts';
import { restoreImage } from '../../shared/pixels/restore.ts';
import { chooseScale, energiesOf, scoreOf, type Scale } from '../../shared/pixels/working-scale.ts';

interface Sizes {
  readonly height: number;
  readonly width: number;
  readonly step: number;
  readonly passes?: number;
  readonly scale: Scale;
}

interface Golden {
  readonly taps: unknown;
  readonly resizing: readonly (Sizes & { readonly reduced: number[]; readonly enlarged: number[] })[];
  readonly choices: readonly (Sizes & { readonly energies?: number[]; readonly score?: number })[];
}

/** A sharp photograph, 768×512. */
const KODIM23 = readFileSync(new URL('../fixtures/kodak/kodim23.png', import.meta.url));

/** What model-export computes of the same pictures. */
const golden = JSON.parse(
  readFileSync(new URL('../../model-export/scale-golden.json', import.meta.url), 'utf8'),
) as Golden;

/** Bytes at lattice points, by 32-bit arithmetic (tests/model-export/scale_golden.py). */
function hashed(y: number, x: number, channel: number): number {
  let h = (Math.imul(y, 374761393) + Math.imul(x, 668265263) + Math.imul(channel, 2246822519)) >>> 0;
  h = Math.imul(h ^ (h >>> 13), 1274126177) >>> 0;
  return (h >>> 16) & 255;
}

/** Weighs three neighbours by 1, 2, 1 along one axis; the border is repeated. */
function smoothed(sums: Float64Array, height: number, width: number, axis: 'y' | 'x'): Float64Array {
  return sums.map((value, at) => {
    const [y, x] = [Math.floor(at / width), at % width];
    const [before, after] =
      axis === 'y'
        ? [Math.max(0, y - 1) * width + x, Math.min(height - 1, y + 1) * width + x]
        : [y * width + Math.max(0, x - 1), y * width + Math.min(width - 1, x + 1)];
    return 2 * value + sums[before]! + sums[after]!;
  });
}

/** Hashed bytes at every `step`-th pixel, linear between them, smoothed `passes` times, rounded half up at the end. */
function pattern({ height, width, step, passes = 0 }: Omit<Sizes, 'scale'>): RawImage {
  const data = new Uint8Array(height * width * 3);
  const unit = step * step * 16 ** passes;
  for (let c = 0; c < 3; c++) {
    let sums: Float64Array = new Float64Array(height * width).map((_, at) => {
      const [y, x] = [Math.floor(at / width), at % width];
      const [row, fy, column, fx] = [Math.floor(y / step), y % step, Math.floor(x / step), x % step];
      const upper = hashed(row, column, c) * (step - fx) + hashed(row, column + 1, c) * fx;
      const lower = hashed(row + 1, column, c) * (step - fx) + hashed(row + 1, column + 1, c) * fx;
      return upper * (step - fy) + lower * fy;
    });
    for (let pass = 0; pass < passes; pass++) {
      for (const axis of ['y', 'x'] as const) sums = smoothed(sums, height, width, axis);
    }
    sums.forEach((sum, at) => (data[at * 3 + c] = Math.floor((2 * sum + unit) / (2 * unit))));
  }
  return { width, height, channels: 3, data };
}

const reducing = (scale: Scale): 2 | 3 | 4 => scale as 2 | 3 | 4;

describe('the golden file of model-export', () => {
  it('has the same weights for enlarging', () => {
    expect(TAPS).toEqual(golden.taps);
  });

  it.each(golden.choices)('chooses scale $scale for $width×$height, step $step, passes $passes', (expected) => {
    const image = pattern(expected);
    expect(chooseScale(image)).toBe(expected.scale);
    if (expected.energies === undefined) return;
    expect(energiesOf(image)).toEqual(expected.energies);
    expect(scoreOf(expected.energies)).toBe(expected.score);
  });

  it.each(golden.resizing)('reduces and enlarges $width×$height by $scale', (expected) => {
    const scale = reducing(expected.scale);
    const small = reduceImage(pattern(expected), scale);
    expect([...small.data]).toEqual(expected.reduced);
    const { height, width } = expected;
    const from = { ...small, data: new Uint8Array(small.data.length).fill(128) };
    const enlarger = new ChangeEnlarger(from, small, scale, width);
    const lines = Array.from({ length: height }, (_, y) => [...enlarger.line(y)]).flat();
    expect(lines.map((value) => value + 0)).toEqual(expected.enlarged);
  });
});

async function photo(width: number): Promise<RawImage> {
  const { data, info } = await sharp(KODIM23)
    .resize(width, null, { kernel: 'lanczos3' })
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, channels: 3, data };
}

describe('a photograph', () => {
  it('that is sharp has scale 1, and enlarged by four a larger one', async () => {
    expect(chooseScale(await photo(768))).toBe(1);
    expect(chooseScale(await photo(768 * 4))).toBeGreaterThan(1);
  });

  it('has the same scale turned, mirrored, in 16 bits and with alpha', async () => {
    const image = await photo(1536);
    const scale = chooseScale(image);
    const turned = await sharp(image.data, { raw: { width: image.width, height: image.height, channels: 3 } })
      .rotate(90)
      .raw()
      .toBuffer();
    const deep = Uint16Array.from(image.data, (value) => value * 257);
    const alpha = new Uint8Array((image.data.length / 3) * 4).fill(7);
    for (let i = 0, j = 0; i < image.data.length; i += 3, j += 4) alpha.set(image.data.subarray(i, i + 3), j);
    expect(chooseScale({ ...image, width: image.height, height: image.width, data: turned })).toBe(scale);
    expect(chooseScale({ ...image, data: deep })).toBe(scale);
    expect(chooseScale({ ...image, channels: 4, data: alpha })).toBe(scale);
  });
});

describe('restoring at a scale', () => {
  const tiling = { size: 64, overlap: 16, padMultiple: 8 };

  it.each([2, 3, 4] as const)('of %i returns the picture itself when the network changes nothing', async (scale) => {
    const image = await photo(200);
    const session = { run: async <T>(tile: T): Promise<T> => tile };
    const seen: number[] = [];
    const onLines = async (_: RawImage, until: number): Promise<void> => void seen.push(until);
    const restored = await restoreImage(image, { session, tiling, orientation: 1, scale, onLines });
    expect(restored.image).toEqual({ ...image, data: new Uint8Array(image.data) });
    expect(restored.scale).toBe(scale);
    expect(restored.restoredPixels).toBe(Math.ceil(image.width / scale) * Math.ceil(image.height / scale));
    expect(seen).toEqual([64, 128, image.height].filter((until, index) => index < 2 || until > 128));
  });

  it('adds the change of the reduced picture, clipped, and leaves alpha alone', async () => {
    const data = Uint8Array.from({ length: 40 * 40 * 4 }, (_, i) => (i % 4 === 3 ? i % 251 : 250));
    const image: RawImage = { width: 40, height: 40, channels: 4, data };
    const brighter = {
      run: async <T extends { data: Uint8Array | Float32Array }>(tile: T): Promise<T> => ({
        ...tile,
        data: tile.data.map((value) => Math.min(255, value + 3)) as T['data'],
      }),
    };
    const { image: out } = await restoreImage(image, { session: brighter, tiling, orientation: 1, scale: 2 });
    for (let i = 0; i < data.length; i++) expect(out.data[i]).toBe(i % 4 === 3 ? data[i] : 253);
    const before = reduceImage(image, 2);
    const after = { ...before, data: before.data.map(() => 255) };
    const target = { ...image, data: new Uint8Array(data.length) };
    addChange(image, target, new ChangeEnlarger(before, after, 2, 40), { from: 0, until: 40 });
    expect(target.data[0]).toBe(255);
  });
});

describe('the change of a restoration', () => {
  it('is measured over the colour samples, in levels of 255', () => {
    const before: RawImage = { width: 2, height: 1, channels: 4, data: new Uint8Array([0, 0, 0, 9, 10, 10, 10, 9]) };
    const after = { ...before, data: new Uint8Array([0, 3, 0, 200, 10, 10, 19, 0]) };
    expect(measureChange(before, after)).toMatchObject({ mean: 2, max: 9 });
    const deep = { ...before, data: Uint16Array.from(before.data, (value) => value * 257) };
    const deepAfter = { ...before, data: Uint16Array.from(after.data, (value) => value * 257) };
    expect(measureChange(deep, deepAfter)).toMatchObject({ mean: 2, max: 9 });
  });

  it('says that a sharper picture is sharper', async () => {
    const image = await photo(400);
    const soft = await sharp(image.data, { raw: { width: 400, height: image.height, channels: 3 } })
      .blur(2)
      .raw()
      .toBuffer();
    expect(measureChange({ ...image, data: soft }, image).sharpness).toBeGreaterThan(2);
    expect(measureChange(image, image).sharpness).toBe(1);
  });
});
