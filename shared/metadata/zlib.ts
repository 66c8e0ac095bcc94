/** zlib streams (RFC 1950) through the runtime's own codec, with a bound on what comes out. */
import { concat } from './bytes.ts';

export async function deflate(bytes: Uint8Array): Promise<Uint8Array> {
  const out = await collect(bytes, new CompressionStream('deflate'), Number.POSITIVE_INFINITY);
  return out ?? new Uint8Array();
}

/** @returns undefined when the stream is broken or holds more than `maxBytes` */
export async function inflate(bytes: Uint8Array, maxBytes: number): Promise<Uint8Array | undefined> {
  try {
    return await collect(bytes, new DecompressionStream('deflate'), maxBytes);
  } catch {
    return undefined;
  }
}

async function collect(
  bytes: Uint8Array,
  codec: CompressionStream | DecompressionStream,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  // The runtimes' types want bytes that are not shared between threads; no file here ever is.
  const source = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream();
  const reader = source.pipeThrough<Uint8Array>(codec).getReader();
  const parts: Uint8Array[] = [];
  let total = 0;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return concat(parts);
    total += value.length;
    if (total > maxBytes) {
      await reader.cancel();
      return undefined;
    }
    parts.push(value);
  }
}
