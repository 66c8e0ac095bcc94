/** What libjpeg's warnings mean for a picture. It fills what is missing or unreadable with grey, and only says so. */
import { pictureTruncated, pictureUndecodable } from '../protocol/errors.ts';

/**
 * @param messages what libjpeg printed while it decoded a file that ends with an end marker
 * @throws {DeblurError} `image_truncated` when rows are missing, `image_undecodable` when data is broken. Bytes too many are harmless,
 *   and so are warnings about anything but the picture's data.
 */
export function refuseFilledGaps(messages: readonly string[]): void {
  if (messages.some((line) => /premature end/i.test(line))) {
    throw pictureTruncated('JPEG');
  }
  if (messages.some((line) => line.includes('Corrupt JPEG data') && !line.includes('extraneous bytes'))) {
    throw pictureUndecodable('JPEG', 'its data is broken');
  }
}
