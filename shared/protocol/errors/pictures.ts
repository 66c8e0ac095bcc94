/** Errors of the bytes of a picture, and of where they are fetched. */
import { DeblurError } from './error.ts';
import { count, either, shown } from './texts.ts';

// ---- Bytes -------------------------------------------------------------------------------------

export const emptyPicture = (): DeblurError =>
  new DeblurError('empty_body', 'The picture has no bytes. Send the bytes of an image file.');

const READ = ['JPEG', 'PNG', 'WebP', 'AVIF', 'HEIC', 'TIFF'];

export const notAPicture = (): DeblurError =>
  new DeblurError('unsupported_media_type', `The bytes are not a ${either(READ)} picture. Send one of these.`);

/** @param kind of file, in the plural: `GIF pictures`, `HEIC photos` */
export const kindNotSupported = (kind: string): DeblurError =>
  new DeblurError('unsupported_media_type', `${kind} are not supported. Send a ${either(READ)} picture.`);

/** The bytes of a body that curl -d has sent. */
export const pictureAltered = ({ code, detail }: DeblurError): DeblurError =>
  new DeblurError(code, `${detail} curl -d alters files: use --data-binary.`);

export const pictureTruncated = (format: string, cause?: unknown): DeblurError =>
  new DeblurError('image_truncated', `The ${format} ends before its picture does. Send the complete file.`, { cause });

/** @param reason completes "The JPEG cannot be decoded: …" */
export const pictureUndecodable = (format: string, reason: string, cause?: unknown): DeblurError =>
  new DeblurError('image_undecodable', `The ${format} cannot be decoded: ${reason}. Save the picture again.`, {
    cause,
  });

/** @param fault a sentence that names the part of the file that is broken or not supported */
export const pictureFaulty = (fault: string): DeblurError =>
  new DeblurError('image_undecodable', `${fault} Save the picture again.`);

/** @param kind of file, in the plural @param instead what to do, as a sentence */
export const kindNotSupportedBut = (kind: string, instead: string): DeblurError =>
  new DeblurError('unsupported_media_type', `${kind} are not supported. ${instead}`);

export const heicNotDecoded = (cause?: unknown): DeblurError =>
  new DeblurError(
    'unsupported_media_type',
    'This HEIC photo is not decoded here. Send a JPEG (iPhone: Settings › Camera › Formats › Most Compatible).',
    { cause },
  );

export const pictureAnimated = (format: string): DeblurError =>
  new DeblurError('image_animated', `The ${format} holds more than one picture. Send a single one.`);

export interface PixelLimits {
  readonly width: number;
  readonly height: number;
  readonly maxPixels: number;
  readonly maxSide: number;
}

export const tooManyPixels = ({ width, height, maxPixels, maxSide }: PixelLimits): DeblurError =>
  new DeblurError(
    'image_too_many_pixels',
    `The picture has ${width}×${height} pixels; at most ${count(maxPixels, 'pixel')} in all and ` +
      `${count(maxSide, 'pixel')} on a side are taken. Send a smaller one.`,
  );

// ---- A source that is fetched ------------------------------------------------------------------

export const sourceTooLarge = (maxBytes: number): DeblurError =>
  new DeblurError(
    'body_too_large',
    `The source has more than ${count(maxBytes, 'byte')}, the most that is taken. Name a smaller file.`,
  );

export const sourceNotFound = (status: number): DeblurError =>
  new DeblurError(
    'source_not_found',
    `The host of the source answered ${status}. Check that the address is public and leads to a picture.`,
  );

/** @param retryAfterSeconds what the host asked for, or our own advice */
export const sourceHostFailed = (status: number, retryAfterSeconds: number): DeblurError =>
  new DeblurError('source_fetch_failed', `The host of the source answered ${status}. Try again later.`, {
    retryAfterSeconds,
  });

export const sourceTimedOut = (seconds: number, retryAfterSeconds: number): DeblurError =>
  new DeblurError(
    'source_fetch_failed',
    `The source did not arrive within ${count(seconds, 'second')}. Try again later, or upload the picture.`,
    { retryAfterSeconds },
  );

export const sourceUnreachable = (retryAfterSeconds: number, cause?: unknown): DeblurError =>
  new DeblurError(
    'source_fetch_failed',
    'The host of the source could not be reached, or the connection broke. Try again later, or upload the picture.',
    { retryAfterSeconds, cause },
  );

export const sourceRedirectsTooOften = (max: number): DeblurError =>
  new DeblurError(
    'source_not_found',
    `The source redirects more than ${count(max, 'time')}. Name the address where the picture is.`,
  );

export const sourceRedirectsNowhere = (location: string): DeblurError =>
  new DeblurError(
    'source_not_found',
    `The source redirects to "${shown(location)}", which is not a URL. Name the address where the picture is.`,
  );

export const sourceKeepsChanging = (): DeblurError =>
  new DeblurError(
    'source_fetch_failed',
    'The source was another picture each time it was asked for. Name an address whose picture stays the same.',
  );
