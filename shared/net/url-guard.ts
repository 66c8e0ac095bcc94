/**
 * Which addresses a user may make us call. Two parts: what the URL says (`checkUrl`), and what its name resolves to
 * (`isGlobalAddress`, asked about every address that is really dialled, where the runtime shows them).
 */
import { notAUrl, urlHasAddress, urlHasCredentials, urlIsInternal, urlNotHttps } from '../protocol/errors.ts';

export interface UrlRules {
  /**
   * Origins (`http://127.0.0.1:8787`) that are trusted as they are: http, loopback and internal names included.
   * Everything else must be https to a public name.
   */
  readonly allowOrigins: readonly string[];
}

export interface CheckedUrl {
  readonly url: URL;
  /** Of an allowed origin: what its name resolves to is not judged. */
  readonly trusted: boolean;
}

/**
 * Names that never lead to the public internet: RFC 6761 (localhost, test, invalid, example), RFC 6762 (local),
 * RFC 7686 (onion), RFC 8375 (home.arpa), ICANN's reserved `internal`, what RFC 6762 appendix G lists as in common
 * private use, and the services of Kubernetes (svc).
 */
const INTERNAL_SUFFIXES = [
  'localhost',
  'local',
  'localdomain',
  'internal',
  'intranet',
  'private',
  'corp',
  'home',
  'lan',
  'home.arpa',
  'test',
  'invalid',
  'example',
  'onion',
  'alt',
  'svc',
];

/**
 * Judges a URL by its text. WHATWG URL parsing has by then turned every spelling of an IPv4 address (decimal, octal,
 * hexadecimal, shortened) into four dotted decimals, so one pattern finds them all.
 * @throws {DeblurError} `malformed_request` when it is no URL; `forbidden` when a rule refuses it
 */
export function checkUrl(text: string, { allowOrigins }: UrlRules): CheckedUrl {
  if (!URL.canParse(text)) throw notAUrl(text);
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') throw urlHasCredentials();
  if (allowOrigins.includes(url.origin)) return { url, trusted: true };
  if (url.protocol !== 'https:') throw urlNotHttps(url.protocol);
  const host = bareHost(url.hostname);
  if (isAddress(host)) throw urlHasAddress(host);
  if (!host.includes('.') || INTERNAL_SUFFIXES.some((suffix) => host === suffix || host.endsWith(`.${suffix}`))) {
    throw urlIsInternal(host);
  }
  return { url, trusted: false };
}

/** A host without the dots that end it: resolvers take both for the same name. */
export const bareHost = (host: string): string => host.replace(/\.+(?=:|$)/, '');

function isAddress(host: string): boolean {
  return host.startsWith('[') || /^\d+\.\d+\.\d+\.\d+$/.test(host);
}

/**
 * Special-purpose IPv4 blocks that are not globally reachable (IANA registry, RFC 6890), multicast and reserved space.
 * 192.0.0.0/24 and 192.88.99.0/24 are refused whole: no picture lives on their few global addresses.
 */
const NON_GLOBAL_V4: readonly (readonly [address: string, prefix: number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
];

/** Inside 2000::/3, the only global unicast space: protocol assignments and Teredo, documentation, 6to4, documentation. */
const NON_GLOBAL_V6: readonly (readonly [groups: readonly number[], prefix: number])[] = [
  [[0x2001, 0x0000], 23],
  [[0x2001, 0x0db8], 32],
  [[0x2002], 16],
  [[0x3fff], 20],
];

/**
 * Whether an address may be dialled: globally reachable unicast. IPv4 inside IPv6 (`::ffff:0:0/96`, `64:ff9b::/96` of
 * RFC 6052, and ISATAP's interface identifiers of RFC 5214) counts as the IPv4 address. What cannot be read is not global.
 * @param address dotted IPv4, or IPv6 with or without a zone
 */
export function isGlobalAddress(address: string): boolean {
  const v4 = parseIpv4(address);
  if (v4 !== undefined) return isGlobalV4(v4);
  const groups = parseIpv6(address);
  return groups !== undefined && isGlobalV6(groups);
}

function isGlobalV4(address: number): boolean {
  return !NON_GLOBAL_V4.some(([block, prefix]) => {
    const shift = 32 - prefix;
    return address >>> shift === parseIpv4(block)! >>> shift;
  });
}

function isGlobalV6(groups: readonly number[]): boolean {
  const embedded = ((groups[6]! << 16) | groups[7]!) >>> 0;
  if (startsWith(groups, [0, 0, 0, 0, 0, 0xffff], 96)) return isGlobalV4(embedded);
  if (startsWith(groups, [0x64, 0xff9b, 0, 0, 0, 0], 96)) return isGlobalV4(embedded);
  if (isIsatap(groups) && !isGlobalV4(embedded)) return false;
  if (!startsWith(groups, [0x2000], 3)) return false;
  return !NON_GLOBAL_V6.some(([block, prefix]) => startsWith(groups, block, prefix));
}

/** `…:0:5efe:a.b.c.d`, or `…:200:5efe:a.b.c.d`: routers send the packet on to the IPv4 address. */
const isIsatap = (groups: readonly number[]): boolean => (groups[4]! & 0xfdff) === 0 && groups[5] === 0x5efe;

function startsWith(groups: readonly number[], block: readonly number[], prefix: number): boolean {
  for (let bit = 0, i = 0; bit < prefix; bit += 16, i++) {
    const shift = Math.max(0, 16 - (prefix - bit));
    if (groups[i]! >> shift !== (block[i] ?? 0) >> shift) return false;
  }
  return true;
}

/** Strictly four decimals; the other spellings are gone once a URL is parsed, and resolvers never use them. */
function parseIpv4(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  const bytes = match.slice(1).map(Number);
  if (bytes.some((byte) => byte > 255)) return undefined;
  return bytes.reduce((value, byte) => value * 256 + byte, 0);
}

/** Eight 16-bit groups of RFC 4291 § 2.2 text, or undefined. */
export function parseIpv6(text: string): readonly number[] | undefined {
  const [address = ''] = text.replace(/^\[|\]$/g, '').split('%');
  const halves = address.split('::');
  if (halves.length > 2 || !address.includes(':')) return undefined;
  const head = parseGroups(halves[0]!);
  const tail = parseGroups(halves[1] ?? '');
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  return [...head, ...new Array<number>(missing).fill(0), ...tail];
}

function parseGroups(text: string): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [i, part] of parts.entries()) {
    const v4 = i === parts.length - 1 ? parseIpv4(part) : undefined;
    if (v4 !== undefined) groups.push(v4 >>> 16, v4 & 0xffff);
    else if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return groups;
}
