/** Whole zlib streams (RFC 1950) through the runtime's own codec, with a bound on what comes out. */
import { concat } from './bytes.ts';
import { Inflater } from './inflate.ts';

export async function deflate(bytes: Uint8Array): Promise<Uint8Array> {
  // The runtimes' types want bytes that are not shared between threads; no file here ever is.
  const source = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream();
  const parts: Uint8Array[] = [];
  for await (const part of source.pipeThrough<Uint8Array>(new CompressionStream('deflate'))) parts.push(part);
  return concat(parts);
}

/** @returns undefined when the stream is broken or holds more than `maxBytes` */
export async function inflate(bytes: Uint8Array, maxBytes: number): Promise<Uint8Array | undefined> {
  const inflater = new Inflater([bytes]);
  const parts: Uint8Array[] = [];
  let total = 0;
  try {
    for (let part = await inflater.read(); part !== undefined; part = await inflater.read()) {
      total += part.length;
      if (total > maxBytes) return undefined;
      parts.push(part);
    }
    return inflater.cut ? undefined : concat(parts);
  } catch {
    return undefined;
  } finally {
    await inflater.close();
  }
}
