/** Where a restoration changed a picture: the difference of both, as a coloured overlay of bounded size. */

const MAX_SIDE = 1400;

/** A change of this many levels is drawn with full colour. */
const FULL_CHANGE = 40;

const COLOUR = [255, 120, 0] as const;

/** @returns RGBA pixels; alpha grows with the change */
export function changeMap(before: Uint8ClampedArray, after: Uint8ClampedArray): Uint8ClampedArray<ArrayBuffer> {
  const out = new Uint8ClampedArray(before.length);
  for (let i = 0; i < before.length; i += 4) {
    const change = Math.max(
      Math.abs(after[i]! - before[i]!),
      Math.abs(after[i + 1]! - before[i + 1]!),
      Math.abs(after[i + 2]! - before[i + 2]!),
    );
    out[i] = COLOUR[0];
    out[i + 1] = COLOUR[1];
    out[i + 2] = COLOUR[2];
    out[i + 3] = Math.min(230, (change / FULL_CHANGE) * 230);
  }
  return out;
}

/** Draws the map of two loaded pictures of the same size onto a canvas. */
export function drawChangeMap(canvas: HTMLCanvasElement, before: HTMLImageElement, after: HTMLImageElement): void {
  const { naturalWidth, naturalHeight } = after;
  const share = Math.min(1, MAX_SIDE / Math.max(naturalWidth, naturalHeight, 1));
  canvas.width = Math.max(1, Math.round(naturalWidth * share));
  canvas.height = Math.max(1, Math.round(naturalHeight * share));
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (context === null) return;
  const { width, height } = canvas;
  const read = (image: HTMLImageElement): Uint8ClampedArray => {
    context.drawImage(image, 0, 0, width, height);
    return context.getImageData(0, 0, width, height).data;
  };
  const map = changeMap(read(before), read(after));
  context.putImageData(new ImageData(map, width, height), 0, 0);
}
