/**
 * PNG (third edition) that is written while its lines are still being made: libvips begins when it has them all, which is
 * when a request has nothing else left to wait for. zlib runs on a thread of the pool and looks for runs only: what a network
 * made repeats nothing, so looking for more takes nearly twice the time for 2 % fewer bytes. Photographs become 1.5 % larger than
 * by libvips at level 2 with adaptive filters, for three quarters of its processor time.
 */
import { once } from 'node:events';
import { constants, crc32, createDeflate, type Deflate } from 'node:zlib';
import { concat, latin1, u32be } from '@deblur/shared/metadata/bytes.ts';
import { filteredLines, PNG_SIGNATURE, pngHeader } from '@deblur/shared/pixels/png-lines.ts';
import type { RawImage } from '@deblur/shared/pixels/raw-image.ts';

const COMPRESSED_CHUNK_BYTES = 65_536;
/** Filtered at once: the JavaScript thread has other things to do in between. */
const BAND_SAMPLES = 1_000_000;

export class PngEncoder {
  readonly #deflate: Deflate = createDeflate({ strategy: constants.Z_RLE, chunkSize: COMPRESSED_CHUNK_BYTES });
  readonly #compressed: Uint8Array[] = [];
  #written = 0;
  /** Of the lines that came last. */
  #taken: Promise<void> = Promise.resolve();

  constructor() {
    this.#deflate.on('data', (chunk: Uint8Array) => void this.#compressed.push(chunk));
    // The write that failed tells it.
    this.#deflate.on('error', () => undefined);
  }

  /**
   * Takes the lines that it has not had yet. Resolves when zlib has taken all but the last of them: filtered lines do not
   * pile up where pictures are restored faster than written.
   * @param until the line after the last one that is final, up to the picture's height
   */
  async write(image: RawImage, until: number): Promise<void> {
    const bandLines = Math.max(1, Math.floor(BAND_SAMPLES / (image.width * image.channels)));
    while (this.#written < until) await this.#writeBand(image, Math.min(until, this.#written + bandLines));
  }

  /** Writes the lines that are left. @returns the file */
  async rest(image: RawImage): Promise<Uint8Array> {
    await this.write(image, image.height);
    return this.finish(image);
  }

  /** @returns the file of the same picture, of which every line was written */
  async finish(image: RawImage): Promise<Uint8Array> {
    if (this.#written !== image.height) throw new Error(`${this.#written} lines of ${image.height} were written`);
    await this.#taken;
    const ended = once(this.#deflate, 'end');
    this.#deflate.end();
    await ended;
    return concat([
      PNG_SIGNATURE,
      ...chunk('IHDR', [pngHeader(image)]),
      ...chunk('IDAT', this.#compressed.splice(0)),
      ...chunk('IEND', []),
    ]);
  }

  async #writeBand(image: RawImage, until: number): Promise<void> {
    const lines = filteredLines(image, this.#written, until);
    this.#written = until;
    const before = this.#taken;
    this.#taken = new Promise((resolve, reject) => {
      this.#deflate.write(lines, (error) => (error ? reject(error) : resolve()));
    });
    // Told by the next call, which awaits it.
    this.#taken.catch(() => undefined);
    await before;
  }

  /** Lets go of zlib's memory, whether or not the file was finished. */
  close(): void {
    this.#deflate.destroy();
  }
}

/** A whole picture at once. */
export async function encodePng(image: RawImage): Promise<Uint8Array> {
  const encoder = new PngEncoder();
  try {
    return await encoder.rest(image);
  } finally {
    encoder.close();
  }
}

/** § 5.3: length, type, data, CRC of type and data. */
function chunk(type: string, data: readonly Uint8Array[]): Uint8Array[] {
  const name = latin1(type);
  const length = data.reduce((sum, part) => sum + part.length, 0);
  const crc = data.reduce((value, part) => crc32(part, value), crc32(name));
  return [u32be(length), name, ...data, u32be(crc)];
}
