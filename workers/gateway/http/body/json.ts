/** JSON bodies, whose cost is bounded before they are parsed and validated. */
import {
  bodyNotAJsonObject,
  bodyNotJson,
  bodyTooLarge,
  emptyBody,
  jsonTooDeep,
  jsonTooManyKeys,
} from '@deblur/shared/protocol/errors.ts';
import { JSON_KEYS_MAX, JSON_NESTING_MAX, JSON_WITHOUT_PICTURE_MAX_BYTES } from '@deblur/shared/limits.ts';

/** @throws {DeblurError} `empty_body`, `malformed_request`, `body_too_large` */
export function parseJsonObject(text: string): Record<string, unknown> {
  if (text === '') throw emptyBody();
  assertCheap(text);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw bodyNotJson(cause);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw bodyNotAJsonObject();
}

/** Reads the text once, outside its strings; text that is not JSON is left to the parser. */
function assertCheap(text: string): void {
  let nesting = 0;
  let members = 0;
  let pictureLength = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text[at]) {
      case '"': {
        const end = endOfString(text, at);
        if (/^data:/i.test(text.slice(at + 1, at + 6))) pictureLength += end - at;
        at = end;
        break;
      }
      case '{':
      case '[':
        if (++nesting > JSON_NESTING_MAX) throw jsonTooDeep(JSON_NESTING_MAX);
        break;
      case '}':
      case ']':
        nesting--;
        break;
      case ',':
        if (++members >= JSON_KEYS_MAX) throw jsonTooManyKeys(JSON_KEYS_MAX);
    }
  }
  if (text.length - pictureLength > JSON_WITHOUT_PICTURE_MAX_BYTES) throw bodyTooLarge(JSON_WITHOUT_PICTURE_MAX_BYTES);
}

/** @param start of the opening quote @returns where the closing one is, or the end of the text */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text[end - 1 - escapes] === '\\') escapes++;
    if (escapes % 2 === 0) return end;
  }
  return text.length;
}
