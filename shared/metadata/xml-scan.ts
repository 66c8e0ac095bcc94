/** Where elements and attributes lie in XML text (XML 1.0 § 2 and § 3). Linear in the text; entities are not resolved. */

export interface XmlAttribute {
  readonly name: string;
  readonly value: string;
  /** From the white space before the name to the closing quote. */
  readonly start: number;
  readonly end: number;
  readonly valueStart: number;
}

export interface XmlStart {
  readonly kind: 'start';
  readonly name: string;
  readonly attributes: readonly XmlAttribute[];
  readonly start: number;
  readonly end: number;
  /** `<name/>`: no end follows. */
  readonly empty: boolean;
}

export interface XmlEnd {
  readonly kind: 'end';
  readonly start: number;
  readonly end: number;
}

const SKIPPED: readonly (readonly [opening: string, closing: string])[] = [
  ['<!--', '-->'],
  ['<![CDATA[', ']]>'],
  ['<?', '?>'],
  ['<!', '>'],
];

const NAME = /[^\s=/>"'<]+/y;
const EQUALS = /\s*=\s*["']/y;
const SPACE = /\s*/y;

/** Start and end tags in order. @throws {Error} where the text is not well-formed */
export function* scanXml(text: string): Generator<XmlStart | XmlEnd, void> {
  let at = text.indexOf('<');
  while (at >= 0) {
    const skipped = SKIPPED.find(([opening]) => text.startsWith(opening, at));
    if (skipped !== undefined) {
      at = after(text, skipped[1], at + skipped[0].length);
    } else if (text.startsWith('</', at)) {
      const end = after(text, '>', at);
      yield { kind: 'end', start: at, end };
      at = end;
    } else {
      const tag = startTag(text, at);
      yield tag;
      at = tag.end;
    }
    at = text.indexOf('<', at);
  }
}

function startTag(text: string, start: number): XmlStart {
  const name = match(NAME, text, start + 1);
  const attributes: XmlAttribute[] = [];
  let at = start + 1 + name.length;
  for (;;) {
    const from = at;
    at += match(SPACE, text, at).length;
    if (text.startsWith('/>', at)) return { kind: 'start', name, attributes, start, end: at + 2, empty: true };
    if (text[at] === '>') return { kind: 'start', name, attributes, start, end: at + 1, empty: false };
    const attribute = match(NAME, text, at);
    at += attribute.length;
    const equals = match(EQUALS, text, at);
    const valueStart = at + equals.length;
    at = after(text, equals.at(-1)!, valueStart);
    attributes.push({ name: attribute, value: text.slice(valueStart, at - 1), start: from, end: at, valueStart });
  }
}

/** The offset behind the next `needle`. */
function after(text: string, needle: string, from: number): number {
  const found = text.indexOf(needle, from);
  if (found < 0) throw new Error('the text ends within markup');
  return found + needle.length;
}

function match(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at;
  const found = pattern.exec(text);
  if (found === null) throw new Error('the text is not well-formed');
  return found[0];
}
