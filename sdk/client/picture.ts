/** What a caller may give as a picture, and how it travels. */
import type { RestoreOptions } from './types.ts';

/**
 * Bytes, a Blob or File; or the text of an http(s) address, a `data:` URI, or the id of a file that was uploaded. The service
 * fetches an address itself.
 */
export type Picture = Blob | ArrayBuffer | ArrayBufferView | URL | string;

export type PictureSource =
  | { readonly kind: 'bytes'; readonly bytes: Blob | Uint8Array<ArrayBuffer> }
  | { readonly kind: 'name'; readonly name: string };

/** @throws {TypeError} for what is no picture, such as the path of a file */
export function sourceOf(picture: Picture): PictureSource {
  if (typeof picture === 'string' || picture instanceof URL) return { kind: 'name', name: nameOf(String(picture)) };
  if (picture instanceof Blob) return { kind: 'bytes', bytes: picture };
  if (picture instanceof ArrayBuffer) return { kind: 'bytes', bytes: new Uint8Array(picture) };
  if (ArrayBuffer.isView(picture)) {
    const { buffer, byteOffset, byteLength } = picture;
    const bytes = new Uint8Array(buffer, byteOffset, byteLength);
    // fetch takes no shared memory.
    return { kind: 'bytes', bytes: isUnshared(bytes) ? bytes : new Uint8Array(bytes) };
  }
  throw new TypeError('a picture is a Blob, bytes, an address, a data: URI or a file id');
}

function isUnshared(bytes: Uint8Array): bytes is Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer;
}

function nameOf(text: string): string {
  if (/^(https?:|data:|file_)/i.test(text)) return text;
  const shown = text.slice(0, 80);
  throw new TypeError(
    `"${shown}" is no address, data: URI or file id. Read a file first: deblur(await readFile(path))`,
  );
}

/** Options by the names that the API gives them; what is undefined stays away. */
export function apiOptions(options: RestoreOptions): Record<string, string | number> {
  const { model, workingScale: working_scale, strength, format, quality, metadata, tile, placement } = options;
  const named = { model, working_scale, strength, format, quality, metadata, tile, placement };
  return Object.fromEntries(
    Object.entries(named).filter((entry): entry is [string, string | number] => entry[1] !== undefined),
  );
}
