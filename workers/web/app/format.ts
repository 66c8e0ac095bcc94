/** Figures and names as people read them. */

const UNITS = ['B', 'kB', 'MB', 'GB'] as const;

/** Decimal units, as file managers and cameras count: 1234 → `1.2 kB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 9.95 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

export function formatSeconds(milliseconds: number): string {
  if (milliseconds < 995) return `${Math.max(1, Math.round(milliseconds))} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  return `${Math.floor(Math.round(seconds) / 60)} min ${Math.round(seconds) % 60} s`;
}

const EXTENSIONS: Readonly<Record<string, string>> = { 'image/jpeg': 'jpg' };

/** What the media type says the file is, as in `JPEG`; empty when it is no picture. */
export function formatName(mediaType: string): string {
  return /^image\/(?:x-)?([a-z0-9]+)/.exec(mediaType)?.[1]?.toUpperCase() ?? '';
}

/** `holiday.heic` restored as image/jpeg → `holiday-deblurred.jpg`. */
export function resultName(sourceName: string, mediaType: string): string {
  const stem = sourceName.replace(/\.[A-Za-z0-9]{1,5}$/, '') || 'picture';
  const extension = EXTENSIONS[mediaType] ?? /^image\/([a-z0-9]+)/.exec(mediaType)?.[1] ?? 'bin';
  return `${stem}-deblurred.${extension}`;
}
