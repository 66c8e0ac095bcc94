/** How much a restoration changed a picture. */
import { hasAlpha, maxSample, type RawImage } from './raw-image.ts';
import { finestEnergy } from './working-scale.ts';

export interface Change {
  /** Mean and largest difference of the colour samples, in levels of 255, with two decimals. */
  readonly mean: number;
  readonly max: number;
  /** Energy of the finest structure after over before: above 1 the picture became sharper. */
  readonly sharpness: number;
}

/** @param before and after have the same size, channels and sample type */
export function measureChange(before: RawImage, after: RawImage): Change {
  const { channels, data } = before;
  const colours = hasAlpha(channels) ? channels - 1 : channels;
  let sum = 0;
  let max = 0;
  for (let pixel = 0; pixel < data.length; pixel += channels) {
    for (let sample = pixel; sample < pixel + colours; sample++) {
      const difference = Math.abs(after.data[sample]! - data[sample]!);
      sum += difference;
      if (difference > max) max = difference;
    }
  }
  const level = 255 / maxSample(before);
  const samples = (data.length / channels) * colours;
  return {
    mean: rounded((sum / samples) * level),
    max: rounded(max * level),
    sharpness: rounded(finestEnergy(after) / finestEnergy(before)),
  };
}

const rounded = (value: number): number => Math.round(value * 100) / 100;
