/** Camera raw files, by their signatures: recognised only to be refused by name. */
import { kindNotSupportedBut, type DeblurError } from '../protocol/errors.ts';
import type { ByteView } from './byte-view.ts';

/** Within the first 12 bytes, as all signatures. */
const SIGNATURES: readonly (readonly [at: number, text: string])[] = [
  [0, 'IIRO'], // Olympus ORF
  [0, 'IIRS'],
  [0, 'MMOR'],
  [0, 'IIU\0'], // Panasonic RW2
  [0, 'FUJIFILMCCD-'], // RAF
  [0, '\0MRM'], // Minolta MRW
  [0, 'FOVb'], // Sigma X3F
  [6, 'HEAPCC'], // Canon CRW
  [8, 'CR\x02'], // Canon CR2, otherwise a TIFF
  [4, 'ftypcrx '], // Canon CR3
];

export function isCameraRaw(view: ByteView): boolean {
  return SIGNATURES.some(([at, text]) => view.has(at, text));
}

/** What such a file shows without being developed is a small preview: restoring that would be a wrong picture. */
export function cameraRawUnsupported(): DeblurError {
  return kindNotSupportedBut('Camera raw files', 'Develop the picture and send it as JPEG, PNG or TIFF.');
}
