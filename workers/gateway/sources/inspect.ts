/** What the header of an upload says for or against it, before it is decoded. */
import { pictureAnimated } from '@deblur/shared/protocol/errors.ts';
import {
  assertPixelLimits,
  HeaderIncomplete,
  readImageHeader,
  readRemoteImageHeader,
  type ImageHeader,
  type RemoteFile,
} from '@deblur/shared/image-header/index.ts';
import { MAX_PIXELS } from '@deblur/shared/limits.ts';

/**
 * @param bytes the file, or its beginning when it is not `complete`
 * @returns the header of a picture that may be restored, or undefined when it lies beyond these bytes
 * @throws {DeblurError} `unsupported_media_type`, `image_truncated`, `image_undecodable`, `image_too_many_pixels`,
 * `image_animated`
 */
export function inspectBytes(bytes: Uint8Array, { complete }: { readonly complete: boolean }): ImageHeader | undefined {
  const header = headerOf(bytes, complete);
  return header && restorable(header);
}

/** The same of a file that lies elsewhere, wherever in it its header does. */
export async function inspectFile(file: RemoteFile): Promise<ImageHeader> {
  return restorable(await readRemoteImageHeader(file));
}

function restorable(header: ImageHeader): ImageHeader {
  if (header.animated) throw pictureAnimated(header.format);
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
