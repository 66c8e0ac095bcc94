/** High dynamic range: pictures whose numbers mean light of a display that our formats cannot all speak of. */
import { kindNotSupportedBut } from '../protocol/errors.ts';
import type { Cicp } from './av1.ts';

/** Transfer characteristics of ITU-T H.273: 9 and 10 are logarithmic, 16 is PQ, 18 is HLG. */
const HDR_TRANSFERS: Readonly<Record<number, string>> = {
  9: 'logarithmic',
  10: 'logarithmic',
  16: 'PQ',
  18: 'HLG',
};

/** @throws {DeblurError} `unsupported_media_type` for a transfer that would be shown wrongly as soon as the format changes */
export function refuseHdr(colour: Cicp | undefined): void {
  const name = HDR_TRANSFERS[colour?.transfer ?? 0];
  if (name === undefined) return;
  throw kindNotSupportedBut(`HDR pictures (${name})`, 'Convert the picture to SDR and send that.');
}
