import type { ByteRange } from '../../results/stored-result.ts';

/**
 * The one range of bytes that a request asks for (RFC 9110 § 14). A header that is malformed, of another unit or of
 * several ranges is ignored, as § 14.2 allows: the answer is then the whole.
 * @returns `unsatisfiable` when it lies wholly outside
 */
export function parseRange(header: string | undefined, size: number): ByteRange | 'unsatisfiable' | null {
  const match = /^bytes=\s*(?:(\d{1,15})-(\d{0,15})|-(\d{1,15}))\s*$/i.exec(header ?? '');
  if (match === null) return null;
  const [, from, to, suffix] = match;
  if (suffix !== undefined) {
    const length = Math.min(Number(suffix), size);
    return length === 0 ? 'unsatisfiable' : { first: size - length, last: size - 1 };
  }
  const first = Number(from);
  const last = to === '' ? size - 1 : Math.min(Number(to), size - 1);
  // "5-3" is no range at all; "900-" of 800 bytes is one that cannot be had.
  if (to !== '' && Number(to) < first) return null;
  return first >= size ? 'unsatisfiable' : { first, last };
}

/** If-None-Match (RFC 9110 § 13.1.2): weak comparison, or any at all. */
export function matchesEtag(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  if (header.trim() === '*') return true;
  return header.split(',').some((candidate) => candidate.trim().replace(/^W\//, '') === etag);
}
