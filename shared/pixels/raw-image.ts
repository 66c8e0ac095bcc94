/** Decoded pixels, and the few exact transforms that every placement shares. */

export type Channels = 1 | 2 | 3 | 4;

/**
 * H × W × C samples, row-major, interleaved. 1: grey, 2: grey + alpha, 3: RGB, 4: RGB + alpha (not premultiplied).
 * `Uint16Array` means 16 bits a sample, `Uint8Array` 8.
 */
export interface RawImage {
  readonly width: number;
  readonly height: number;
  readonly channels: Channels;
  readonly data: Uint8Array | Uint16Array;
}

export function hasAlpha(channels: Channels): boolean {
  return channels === 2 || channels === 4;
}

export function maxSample(image: RawImage): number {
  return image.data instanceof Uint16Array ? 65_535 : 255;
}

/** An array of the same sample type as `like`. */
export function samplesLike(like: RawImage['data'], length: number): Uint8Array | Uint16Array {
  return like instanceof Uint16Array ? new Uint16Array(length) : new Uint8Array(length);
}

/**
 * Turns stored pixels upright. EXIF 2.32 § 4.6.4 A: orientation 1 is upright, 5–8 exchange width and height.
 * @param orientation 1..8; anything else counts as 1
 */
export function applyOrientation(image: RawImage, orientation: number): RawImage {
  if (!Number.isInteger(orientation) || orientation < 2 || orientation > 8) return image;
  const { width: w, height: h, channels, data } = image;
  const swapped = orientation >= 5;
  const width = swapped ? h : w;
  const height = swapped ? w : h;
  const out = samplesLike(data, data.length);
  // One step right and one step down in the upright picture, as steps in the stored one.
  const [origin, right, down] = orientationSteps(orientation, w, h);
  let target = 0;
  for (let y = 0; y < height; y++) {
    let source = origin + y * down;
    for (let x = 0; x < width; x++, source += right) {
      const base = source * channels;
      for (let c = 0; c < channels; c++) out[target++] = data[base + c]!;
    }
  }
  return { width, height, channels, data: out };
}

function orientationSteps(orientation: number, w: number, h: number): readonly [number, number, number] {
  const last = w * h - 1;
  switch (orientation) {
    case 2: // mirrored left to right
      return [w - 1, -1, w];
    case 3: // turned by 180°
      return [last, -1, -w];
    case 4: // mirrored top to bottom
      return [w * (h - 1), 1, -w];
    case 5: // transposed
      return [0, w, 1];
    case 6: // needs a turn by 90° clockwise
      return [w * (h - 1), -w, 1];
    case 7: // transverse
      return [last, -w, -1];
    default: // 8: needs a turn by 90° anticlockwise
      return [w - 1, w, -1];
  }
}

/** Lays a picture over white, for formats without alpha. A picture without alpha comes back as it is. */
export function flattenOnWhite(image: RawImage): RawImage {
  if (!hasAlpha(image.channels)) return image;
  const white = maxSample(image);
  const colours = (image.channels - 1) as 1 | 3;
  const pixels = image.width * image.height;
  const out = samplesLike(image.data, pixels * colours);
  for (let p = 0; p < pixels; p++) {
    const alpha = image.data[p * image.channels + colours]! / white;
    for (let c = 0; c < colours; c++) {
      out[p * colours + c] = Math.round(image.data[p * image.channels + c]! * alpha + white * (1 - alpha));
    }
  }
  return { width: image.width, height: image.height, channels: colours, data: out };
}

/** Undoes the multiplication of colours with alpha. Under full transparency nothing is left of them: they become black. */
export function dividedByAlpha(image: RawImage): RawImage {
  const { width, height, channels, data } = image;
  if (!hasAlpha(channels)) return image;
  const white = maxSample(image);
  const out = samplesLike(data, data.length);
  for (let p = 0; p < data.length; p += channels) {
    const alpha = data[p + channels - 1]!;
    for (let c = 0; c < channels - 1; c++) {
      out[p + c] = alpha === 0 ? 0 : Math.min(white, Math.round((data[p + c]! * white) / alpha));
    }
    out[p + channels - 1] = alpha;
  }
  return { width, height, channels, data: out };
}
