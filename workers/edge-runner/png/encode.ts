/** Pixels → PNG with 8 bits a sample, in the colour type of the picture's channels. Filtered lines go straight into the runtime's deflate. */
import { concat, latin1, u32be } from '@deblur/shared/metadata/bytes.ts';
import { crc32 } from '@deblur/shared/image-header/png.ts';
import type { Channels, RawImage } from '@deblur/shared/raw-image.ts';
import { COLOUR, FILTER, paeth } from './layout.ts';

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

const COLOUR_OF: Readonly<Record<Channels, number>> = {
  1: COLOUR.grey,
  2: COLOUR.greyAlpha,
  3: COLOUR.rgb,
  4: COLOUR.rgbAlpha,
};

/** Lines are handed to deflate in batches of about this many bytes: enough to make the hand-over cheap. */
const BATCH_BYTES = 65_536;

/** @throws {TypeError} for 16-bit samples: this Worker refuses such pictures at its door */
export async function encodePng({ width, height, channels, data }: RawImage): Promise<Uint8Array> {
  if (!(data instanceof Uint8Array)) throw new TypeError('the edge writes 8-bit samples only');
  const header = concat([u32be(width), u32be(height), Uint8Array.of(8, COLOUR_OF[channels], 0, 0, 0)]);
  const filtered = filteredLines(data, width * channels, channels);
  const source = new ReadableStream<Uint8Array>({
    pull(controller) {
      const { value, done } = filtered.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
  });
  const parts = [SIGNATURE, chunk('IHDR', header)];
  // Each piece becomes a chunk at once: the compressed picture is in memory once, not twice.
  for await (const piece of source.pipeThrough<Uint8Array>(new CompressionStream('deflate'))) {
    parts.push(chunk('IDAT', piece));
  }
  return concat([...parts, chunk('IEND', new Uint8Array())]);
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const body = concat([latin1(type), data]);
  return concat([u32be(data.length), body, u32be(crc32(body))]);
}

/** Batches of lines, each with its filter byte before it. */
function* filteredLines(data: Uint8Array, lineBytes: number, pixelBytes: number): Generator<Uint8Array, void> {
  const height = data.length / lineBytes;
  const batchLines = Math.max(1, Math.floor(BATCH_BYTES / (lineBytes + 1)));
  const candidates = Object.values(FILTER).map(() => new Uint8Array(lineBytes));
  let above = new Uint8Array(lineBytes);
  for (let first = 0; first < height; first += batchLines) {
    const lines = Math.min(batchLines, height - first);
    const batch = new Uint8Array(lines * (lineBytes + 1));
    for (let i = 0; i < lines; i++) {
      const line = data.subarray((first + i) * lineBytes, (first + i + 1) * lineBytes);
      const filter = filterLine(line, above, pixelBytes, candidates);
      batch[i * (lineBytes + 1)] = filter;
      batch.set(candidates[filter]!, i * (lineBytes + 1) + 1);
      above = line as Uint8Array<ArrayBuffer>;
    }
    yield batch;
  }
}

/**
 * Fills `candidates` with the five filterings and names the one with the smallest sum of absolute differences, the
 * heuristic of PNG § 12.7.
 */
function filterLine(line: Uint8Array, above: Uint8Array, back: number, candidates: readonly Uint8Array[]): number {
  const [none, sub, up, average, paethLine] = candidates as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  let [s0, s1, s2, s3, s4] = [0, 0, 0, 0, 0];
  for (let i = 0; i < line.length; i++) {
    const x = line[i]!;
    const a = i < back ? 0 : line[i - back]!;
    const b = above[i]!;
    const c = i < back ? 0 : above[i - back]!;
    none[i] = x;
    sub[i] = x - a;
    up[i] = x - b;
    average[i] = x - ((a + b) >> 1);
    paethLine[i] = x - paeth(a, b, c);
    s0 += magnitude(x);
    s1 += magnitude(sub[i]!);
    s2 += magnitude(up[i]!);
    s3 += magnitude(average[i]!);
    s4 += magnitude(paethLine[i]!);
  }
  const sums = [s0, s1, s2, s3, s4];
  return sums.indexOf(Math.min(...sums));
}

/** Of a byte read as a signed difference. */
function magnitude(byte: number): number {
  return byte < 128 ? byte : 256 - byte;
}
