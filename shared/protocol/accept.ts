/** Which format a result is written in when the caller leaves it to us: RFC 9110 § 12.5.1, proactive negotiation. */
import { notAcceptable } from './errors.ts';
import { formatHolds, type PictureSize } from './format-limits.ts';
import type { ImageFormat } from '../image-header/index.ts';
import { MEDIA_TYPES, OUTPUT_FORMATS, type OutputFormat } from './options.ts';

interface MediaRange {
  readonly type: string;
  readonly subtype: string;
  /** 0..1 */
  readonly q: number;
  /** It has parameters besides q; our formats have none to match them. */
  readonly narrower: boolean;
}

/**
 * Among formats that the client likes equally well. WebP first: it keeps alpha, every browser reads it and every
 * placement writes it. AVIF is smaller, but takes the most time and only the runner writes it. JPEG before PNG, because a
 * photograph as PNG is several times its size.
 */
const PREFERENCE: readonly OutputFormat[] = ['webp', 'avif', 'jpeg', 'png'];

/**
 * The format that a result has unless the client likes another one better: the source's own; JPEG for a HEIC, a photograph whose
 * format nobody else reads; PNG for others that we do not write, and where the own format cannot hold the picture.
 */
export function ownFormat(source: ImageFormat, size: PictureSize): OutputFormat {
  const own = source === 'heic' ? 'jpeg' : source;
  return OUTPUT_FORMATS.find((format) => format === own && formatHolds(format, size)) ?? 'png';
}

/**
 * The format for `format=auto`: see ownFormat, unless the client likes another one better.
 * @param accept the `Accept` header; absent, empty or malformed means that anything will do
 * @param size of the result: formats that cannot hold it are left out
 * @throws {DeblurError} `not_acceptable` when the client accepts none of the formats that are left
 */
export function negotiateFormat(accept: string | null, source: ImageFormat, size: PictureSize): OutputFormat {
  const possible = OUTPUT_FORMATS.filter((format) => formatHolds(format, size));
  const own = ownFormat(source, size);
  const ranges = parseAccept(accept ?? '');
  if (ranges === undefined || ranges.length === 0) return own;
  const qualities = new Map(possible.map((format) => [format, qualityOf(format, ranges)]));
  const best = Math.max(...qualities.values());
  if (best === 0) throw notAcceptable(possible.map((format) => MEDIA_TYPES[format]));
  return [own, ...PREFERENCE].find((format) => qualities.get(format) === best) ?? own;
}

/** Whether the client takes a format at all, however little it likes it. @param accept as for negotiateFormat */
export function acceptsFormat(accept: string | null, format: OutputFormat): boolean {
  const ranges = parseAccept(accept ?? '');
  return ranges === undefined || ranges.length === 0 || qualityOf(format, ranges) > 0;
}

/** The q of the most specific range that matches; 0 when none does. Of two equal ranges the better one counts. */
function qualityOf(format: OutputFormat, allRanges: readonly MediaRange[]): number {
  const [type, subtype] = MEDIA_TYPES[format].split('/');
  const ranges = allRanges.filter(({ narrower }) => !narrower);
  const levels = [
    ranges.filter((range) => range.type === type && range.subtype === subtype),
    ranges.filter((range) => range.type === type && range.subtype === '*'),
    ranges.filter((range) => range.type === '*'),
  ];
  const matching = levels.find((level) => level.length > 0) ?? [];
  return Math.max(0, ...matching.map(({ q }) => q));
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const QUOTED = '"(?:[^"\\\\]|\\\\.)*"';
/** Blanks belong to what follows them, so that a long run of them has one reading only. */
const PARAMETER = `[ \\t]*;(?:[ \\t]*${TOKEN}=(?:${TOKEN}|${QUOTED}))?`;
/**
 * One list element; sticky, so that reading goes on where the last one ended. The blanks behind it are only looked for where there
 * is one: two runs of blanks side by side would share a long one between them in every way.
 */
const ELEMENT = new RegExp(`[ \\t]*(?:(${TOKEN})/(${TOKEN})((?:${PARAMETER})*)[ \\t]*)?(?:,|$)`, 'y');
const ONE_PARAMETER = new RegExp(`(${TOKEN})=(${TOKEN}|${QUOTED})`, 'g');
const QVALUE = /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/;

/** What JPEG is called besides. */
const SPELLINGS: ReadonlyMap<string, string> = new Map([
  ['jpg', 'jpeg'],
  ['pjpeg', 'jpeg'],
]);

/** Undefined when malformed. */
function parseAccept(header: string): MediaRange[] | undefined {
  const ranges: MediaRange[] = [];
  ELEMENT.lastIndex = 0;
  while (ELEMENT.lastIndex < header.length) {
    const match = ELEMENT.exec(header);
    if (match === null) return undefined;
    const [, type, subtype, parameters = ''] = match;
    if (type === undefined || subtype === undefined) continue;
    if (type === '*' && subtype !== '*') return undefined;
    let q = 1;
    let narrower = false;
    for (const [, name, value] of parameters.matchAll(ONE_PARAMETER)) {
      // Some clients say a charset of everything.
      if (name?.toLowerCase() === 'charset') continue;
      if (name?.toLowerCase() !== 'q') narrower = true;
      else if (value === undefined || !QVALUE.test(value)) return undefined;
      else q = Number(value);
    }
    ranges.push({
      type: type.toLowerCase(),
      subtype: SPELLINGS.get(subtype.toLowerCase()) ?? subtype.toLowerCase(),
      q,
      narrower,
    });
  }
  return ranges;
}
