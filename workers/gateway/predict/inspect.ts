/** What the first bytes of an upload say for or against it, before it is stored or decoded. */
import { DeblurError } from '@deblur/shared/errors.ts';
import {
  assertPixelLimits,
  HeaderIncomplete,
  readImageHeader,
  type ImageHeader,
} from '@deblur/shared/image-header/index.ts';
import { MAX_PIXELS } from '@deblur/shared/limits.ts';

/**
 * @param bytes the file, or its beginning when it is not `complete`
 * @returns the header of a picture that may be restored, or undefined when it lies beyond these bytes
 * @throws {DeblurError} `unsupported_media_type`, `image_truncated`, `image_undecodable`, `image_too_many_pixels`,
 * `image_animated`
 */
export function inspectImage(bytes: Uint8Array, { complete }: { readonly complete: boolean }): ImageHeader | undefined {
  const header = headerOf(bytes, complete);
  if (header === undefined) return undefined;
  if (header.animated) throw new DeblurError('image_animated', `The ${header.format} holds more than one picture.`);
  assertPixelLimits(header, MAX_PIXELS);
  return header;
}

function headerOf(bytes: Uint8Array, complete: boolean): ImageHeader | undefined {
  try {
    return readImageHeader(bytes, { complete });
  } catch (error) {
    if (error instanceof HeaderIncomplete) return undefined;
    throw error;
  }
}
