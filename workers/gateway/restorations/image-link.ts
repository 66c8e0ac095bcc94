/** What an image link asks for, and whether it may: pure functions of its text. */
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import { SOURCE_URL_MAX_CHARACTERS } from '@deblur/shared/limits.ts';
import { parseOptions, type Options } from '@deblur/shared/protocol/options.ts';
import { sourceUrlOf, type SignedText } from '@deblur/shared/protocol/image-link.ts';

export interface PictureLink {
  readonly url: string;
  readonly options: Options;
  /** Milliseconds since the epoch; null: as long as its key. */
  readonly expiresAt: number | null;
}

/** Whose pictures may be named. */
export interface SourceRules {
  /** `cdn.example.com`, on the default port of https. */
  readonly hosts: readonly string[];
  /** `example.com` for `*.example.com`: every name below, not the name itself. */
  readonly domains: readonly string[];
  readonly origins: readonly string[];
  /** Every host that the URL guard allows. */
  readonly any: boolean;
}

const HOST = /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]$/;

/** Hosts, `*.domain`s, origins and `*`, separated by commas or blanks. @throws {Error} */
export function parseSourceRules(text: string): SourceRules {
  const entries = text.split(/[\s,]+/).filter((entry) => entry !== '');
  const rules = { hosts: [] as string[], domains: [] as string[], origins: [] as string[], any: false };
  for (const entry of entries) {
    if (entry === '*') rules.any = true;
    else if (HOST.test(entry)) rules.hosts.push(entry);
    else if (entry.startsWith('*.') && HOST.test(entry.slice(2))) rules.domains.push(entry.slice(2));
    else if (URL.parse(entry)?.origin === entry) rules.origins.push(entry);
    else throw new Error('must be hosts, *.domains or origins, separated by commas, or *');
  }
  return rules;
}

/** Only of http and https; addresses and internal names are the URL guard's business. */
export function isAllowedSource({ hosts, domains, origins, any }: SourceRules, url: URL): boolean {
  if (any || origins.includes(url.origin)) return true;
  if (url.origin !== `https://${url.hostname}`) return false;
  return hosts.includes(url.hostname) || domains.some((domain) => url.hostname.endsWith(`.${domain}`));
}

/**
 * @param text of a path that was verified
 * @param now milliseconds since the epoch
 * @throws {DeblurError} `unknown_option`, `invalid_option`, `gone` when it has expired, `malformed_request`
 */
export function parseLink(text: SignedText, now: number): PictureLink {
  const { exp, ...raw } = listedOptions(text.options);
  const options = parseOptions(raw);
  const expiresAt = exp === undefined ? null : parseExpiry(exp) * 1000;
  if (expiresAt !== null && expiresAt <= now) throw new DeblurError('gone', 'The URL has expired.');
  const url = sourceUrlOf(text);
  if (url.length <= SOURCE_URL_MAX_CHARACTERS) return { url, options, expiresAt };
  throw new DeblurError('malformed_request', `The source has more than ${SOURCE_URL_MAX_CHARACTERS} characters.`);
}

/** What a site may ask for; a tile size is for measurements, and would split its cache. */
const LINK_OPTIONS: readonly string[] = ['model', 'format', 'quality', 'metadata', 'working_scale', 'exp'];

/** `name:value` joined by commas, or `_`. */
function listedOptions(text: string): Readonly<Record<string, string>> {
  if (text === '_') return {};
  const options: Record<string, string> = {};
  for (const entry of text.split(',')) {
    const colon = entry.indexOf(':');
    const name = colon < 0 ? entry : entry.slice(0, colon);
    if (!LINK_OPTIONS.includes(name)) throw optionError('unknown_option', name, 'is not an option of image links');
    if (colon < 0) throw optionError('invalid_option', name, 'has no value');
    if (Object.hasOwn(options, name)) throw optionError('invalid_option', name, 'is given twice');
    options[name] = entry.slice(colon + 1);
  }
  return options;
}

/** Seconds since the epoch; twelve digits reach 33,000 years. */
function parseExpiry(text: string): number {
  if (/^\d{1,12}$/.test(text)) return Number(text);
  throw optionError('invalid_option', 'exp', 'must be seconds since the epoch');
}

const SHOWN_CHARACTERS = 64;

function optionError(code: 'unknown_option' | 'invalid_option', name: string, message: string): DeblurError {
  const field = name.slice(0, SHOWN_CHARACTERS);
  return new DeblurError(code, `${field}: ${message}`, { fields: [{ field, message }] });
}
