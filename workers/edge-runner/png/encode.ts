/** Pixels → PNG. Filtered lines go straight into the runtime's deflate. */
import { concat } from '@deblur/shared/metadata/bytes.ts';
import { pngChunk } from '@deblur/shared/metadata/png.ts';
import { filteredLines, PNG_SIGNATURE, pngHeader } from '@deblur/shared/pixels/png-lines.ts';
import type { RawImage } from '@deblur/shared/pixels/raw-image.ts';

/** Lines are handed to deflate in batches of about this many bytes: enough to make the hand-over cheap. */
const BATCH_BYTES = 65_536;

export async function encodePng(image: RawImage): Promise<Uint8Array> {
  const { width, height, channels } = image;
  const batchLines = Math.max(1, Math.floor(BATCH_BYTES / (width * channels)));
  let line = 0;
  const source = new ReadableStream<Uint8Array>({
    pull(controller) {
      const until = Math.min(height, line + batchLines);
      if (line < until) controller.enqueue(filteredLines(image, line, until));
      else controller.close();
      line = until;
    },
  });
  const parts = [PNG_SIGNATURE, pngChunk('IHDR', pngHeader(image))];
  // Each piece becomes a chunk at once: the compressed picture is in memory once, not twice.
  for await (const piece of source.pipeThrough<Uint8Array>(new CompressionStream('deflate'))) {
    parts.push(pngChunk('IDAT', piece));
  }
  return concat([...parts, pngChunk('IEND')]);
}
