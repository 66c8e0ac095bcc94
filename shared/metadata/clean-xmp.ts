/**
 * XMP made to fit the restored picture (XMP specification part 1): it stands upright, has the restored size, and does not speak of
 * parts that the result no longer has, such as the video of a motion photo or a gain map. Readers that trust such statements cut
 * files in the wrong places.
 */
import type { Size } from './clean-exif.ts';
import { scanXml, type XmlAttribute, type XmlStart } from './xml-scan.ts';

/** Namespaces that describe other parts of the file, and nothing else. */
const PART_NAMESPACES: readonly string[] = [
  'http://ns.google.com/photos/1.0/container/',
  'http://ns.google.com/photos/1.0/depthmap/',
  'http://ns.google.com/photos/1.0/image/',
  'http://ns.google.com/photos/1.0/audio/',
  'http://ns.google.com/photos/dd/1.0/',
  'http://ns.adobe.com/hdr-gain-map/',
  'http://ns.apple.com/HDRGainMap/',
  'http://ns.apple.com/pixeldatainfo/',
  'http://ns.xiaomi.com/photos/1.0/camera/',
  'http://ns.oplus.com/photos/1.0/camera/',
];

/** Properties of mixed namespaces: motion photos, the rest of a packet in other segments, thumbnails of the blurred picture. */
const PART_PROPERTIES = /^(?:MotionPhoto|MicroVideo|HasExtendedXMP$|Thumbnails$|hdrp_makernote$|shot_log_data$)/;

const TIFF_NAMESPACE = 'http://ns.adobe.com/tiff/1.0/';
const EXIF_NAMESPACE = 'http://ns.adobe.com/exif/1.0/';

/** What packets without a declaration mean. */
const CUSTOMARY_PREFIXES: Readonly<Record<string, string>> = { tiff: TIFF_NAMESPACE, exif: EXIF_NAMESPACE };

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** @returns undefined when it is not UTF-8 text, or not well-formed */
export function cleanXmp(xmp: Uint8Array, size: Size): Uint8Array | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(xmp);
    if (text.includes('\0')) return undefined;
    return new TextEncoder().encode(applied(text, new PacketEdits(text, size).all()));
  } catch {
    return undefined;
  }
}

function applied(text: string, edits: readonly Edit[]): string {
  let out = '';
  let at = 0;
  for (const edit of edits) {
    out += text.slice(at, edit.start) + edit.text;
    at = edit.end;
  }
  return out + text.slice(at);
}

class PacketEdits {
  readonly #text: string;
  readonly #size: Size;
  readonly #namespaces = new Map(Object.entries(CUSTOMARY_PREFIXES));
  readonly #edits: Edit[] = [];
  /** Elements that are open, and where the outermost removed one began. */
  #depth = 0;
  #removed: { readonly start: number; readonly depth: number } | undefined;

  constructor(text: string, size: Size) {
    this.#text = text;
    this.#size = size;
  }

  /** In order, none overlapping. @throws {Error} when the packet is not well-formed */
  all(): readonly Edit[] {
    for (const token of scanXml(this.#text)) {
      if (token.kind === 'start') this.#start(token);
      else this.#end(token.end);
    }
    if (this.#depth !== 0) throw new Error('an element is not closed');
    return this.#edits;
  }

  #start(token: XmlStart): void {
    const { name, attributes, start, end, empty } = token;
    for (const { name: attribute, value } of attributes) {
      if (attribute.startsWith('xmlns:')) this.#namespaces.set(attribute.slice('xmlns:'.length), value);
    }
    this.#depth++;
    if (this.#removed === undefined) {
      if (this.#isPart(name)) this.#removed = { start, depth: this.#depth };
      else {
        for (const attribute of attributes) this.#editAttribute(attribute);
        if (!empty) this.#editContent(name, end);
      }
    }
    if (empty) this.#end(end);
  }

  #end(end: number): void {
    if (this.#depth === 0) throw new Error('an element is closed that was not open');
    if (this.#removed?.depth === this.#depth) {
      this.#edits.push({ start: this.#removed.start, end, text: '' });
      this.#removed = undefined;
    }
    this.#depth--;
  }

  #editAttribute({ name, value, start, end, valueStart }: XmlAttribute): void {
    const isPartNamespace = name.startsWith('xmlns:') && isPartNamespaceUri(value);
    if (isPartNamespace || this.#isPart(name)) this.#edits.push({ start, end, text: '' });
    else this.#restate(name, value, valueStart);
  }

  /** The value of an element that holds nothing but text. */
  #editContent(name: string, contentStart: number): void {
    const contentEnd = this.#text.indexOf('<', contentStart);
    if (contentEnd >= 0) this.#restate(name, this.#text.slice(contentStart, contentEnd), contentStart);
  }

  #restate(name: string, value: string, at: number): void {
    const restated = this.#restatedValue(name);
    const trimmed = value.trim();
    if (restated === undefined || trimmed === restated || !/^\d+$/.test(trimmed)) return;
    const start = at + value.indexOf(trimmed);
    this.#edits.push({ start, end: start + trimmed.length, text: restated });
  }

  #restatedValue(name: string): string | undefined {
    const { uri, local } = this.#resolve(name);
    const { width, height } = this.#size;
    if (uri === TIFF_NAMESPACE && local === 'Orientation') return '1';
    if (uri === TIFF_NAMESPACE && local === 'ImageWidth') return String(width);
    if (uri === TIFF_NAMESPACE && local === 'ImageLength') return String(height);
    if (uri === EXIF_NAMESPACE && local === 'PixelXDimension') return String(width);
    return uri === EXIF_NAMESPACE && local === 'PixelYDimension' ? String(height) : undefined;
  }

  #isPart(name: string): boolean {
    const { uri, local } = this.#resolve(name);
    return uri !== undefined && (isPartNamespaceUri(uri) || PART_PROPERTIES.test(local));
  }

  #resolve(name: string): { readonly uri: string | undefined; readonly local: string } {
    const colon = name.indexOf(':');
    if (colon < 0 || name.startsWith('xmlns:')) return { uri: undefined, local: name };
    const prefix = name.slice(0, colon);
    return { uri: this.#namespaces.get(prefix) ?? prefix, local: name.slice(colon + 1) };
  }
}

function isPartNamespaceUri(uri: string): boolean {
  return PART_NAMESPACES.some((namespace) => uri.startsWith(namespace));
}
