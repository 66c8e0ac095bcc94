/** Inflates zlib streams (RFC 1950) with the runtime's own codec, and never much further than the reader has read. */

/**
 * Bytes handed to the runtime at once. A DecompressionStream inflates everything that is written to it, whether or not
 * somebody reads, and deflate packs up to 1,032 bytes into one: a slice of this size becomes 4 MiB at most.
 */
const SLICE_BYTES = 4096;

/** A turn of the event loop: the runtime delivers what it inflated outside of microtasks. */
const macrotask = (): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, 0);
  });

/** Reads one zlib stream piece by piece. Memory and work are bounded by what is read, not by what the stream holds. */
export class Inflater {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<BufferSource>;
  readonly #slices: Iterator<Uint8Array, undefined>;
  #closing = false;
  #cut = false;

  /** @param pieces the stream's bytes, in order, for example the data of a PNG's IDAT chunks */
  constructor(pieces: Iterable<Uint8Array>) {
    const stream = new DecompressionStream('deflate');
    this.#reader = stream.readable.getReader() as ReadableStreamDefaultReader<Uint8Array>;
    this.#writer = stream.writable.getWriter();
    this.#slices = slicesOf(pieces);
  }

  /** Whether the bytes were exhausted before the zlib stream had ended. */
  get cut(): boolean {
    return this.#cut;
  }

  /**
   * The next inflated bytes, at least one. Undefined when the stream is at its end, or when its bytes are exhausted.
   * @throws {Error} for bytes that are no zlib stream
   */
  async read(): Promise<Uint8Array | undefined> {
    let settled = false;
    const next = this.#next().finally(() => {
      settled = true;
    });
    next.catch(() => undefined);
    while (!settled && !this.#closing) await Promise.race([next, this.#writeSlice()]).catch(() => undefined);
    return next;
  }

  /** Drops what was not read. Never fails. */
  async close(): Promise<void> {
    this.#closing = true;
    await Promise.allSettled([this.#writer.abort(), this.#reader.cancel()]);
  }

  async #next(): Promise<Uint8Array | undefined> {
    try {
      for (;;) {
        const { value, done } = await this.#reader.read();
        if (done) return undefined;
        if (value.length > 0) return value;
      }
    } catch (error) {
      // A DecompressionStream that is closed before its zlib stream ends fails with a TypeError.
      if (!this.#closing) throw error;
      this.#cut = true;
      return undefined;
    }
  }

  /** Hands over one slice, and leaves the runtime the time to say what came of it. */
  async #writeSlice(): Promise<void> {
    const { value } = this.#slices.next();
    if (value === undefined) {
      this.#closing = true;
      await this.#writer.close();
    } else {
      await this.#writer.write(value as Uint8Array<ArrayBuffer>);
      await macrotask();
    }
  }
}

function* slicesOf(pieces: Iterable<Uint8Array>): Generator<Uint8Array, undefined> {
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; at += SLICE_BYTES) yield piece.subarray(at, at + SLICE_BYTES);
  }
  return undefined;
}
