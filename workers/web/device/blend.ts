/** A result at less than full strength: source + strength × (restored − source), with the metadata of the result. */
import { readImageHeader } from '@deblur/shared/image-header/index.ts';
import { DEFAULT_QUALITY } from '@deblur/shared/limits.ts';
import { carriedMetadata, readMetadata, writeMetadata } from '@deblur/shared/metadata/index.ts';

/**
 * @param strength 0 to 1
 * @returns a file of the restored picture's type, or a PNG where the browser cannot write that type
 */
export async function blend(source: Blob, restored: Blob, strength: number): Promise<Blob> {
  const [before, after] = await Promise.all([source, restored].map((blob) => createImageBitmap(blob)));
  if (before === undefined || after === undefined) return restored;
  const canvas = new OffscreenCanvas(after.width, after.height);
  const context = canvas.getContext('2d');
  if (context === null) return restored;
  context.drawImage(before, 0, 0, after.width, after.height);
  context.globalAlpha = strength;
  context.drawImage(after, 0, 0);
  before.close();
  after.close();
  const file = await canvas.convertToBlob({ type: restored.type, quality: DEFAULT_QUALITY / 100 });
  return withMetadataOf(restored, file);
}

async function withMetadataOf(restored: Blob, file: Blob): Promise<Blob> {
  const [from, to] = await Promise.all([restored, file].map(async (blob) => new Uint8Array(await blob.arrayBuffer())));
  const source = readImageHeader(from!);
  const target = readImageHeader(to!);
  if (target.format !== 'jpeg' && target.format !== 'png' && target.format !== 'webp') return file;
  // The canvas has converted the colours to sRGB: the profile of the result does not fit any more.
  const read = await readMetadata(from!, source.format);
  const { format } = target;
  const carried = carriedMetadata(read, 'keep', { convertedToRgb: true, format, channels: 3, size: target });
  return new Blob([(await writeMetadata(to!, target.format, carried)) as Uint8Array<ArrayBuffer>], { type: file.type });
}
