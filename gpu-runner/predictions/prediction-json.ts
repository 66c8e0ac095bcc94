/** A prediction as JSON, with its file as a data URI (RFC 2397). */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { MEDIA_TYPES } from '@deblur/shared/protocol/options.ts';
import { BASE64_PIECE_BYTES } from '../limits.ts';
import { isFile, type OutputFile, type RunnerPredictionSnapshot, type UploadedOutput } from './prediction.ts';

/** What a receiver of the JSON has. */
export interface PredictionView extends Omit<RunnerPredictionSnapshot, 'output'> {
  readonly output: string | UploadedOutput | null;
}

/**
 * The bytes of the JSON. A file is written piece by piece, since in one go a large one would hold the main thread for a
 * third of a second.
 */
export async function predictionJson({ output, ...rest }: RunnerPredictionSnapshot): Promise<Uint8Array<ArrayBuffer>> {
  if (!isFile(output)) return Buffer.from(JSON.stringify({ ...rest, output }));
  // The alphabet of base64 needs no escapes in JSON.
  const head = `${JSON.stringify(rest).slice(0, -1)},"output":"data:${MEDIA_TYPES[output.format]};base64,`;
  return base64Between(head, output, '"}');
}

async function base64Between(head: string, { bytes }: OutputFile, tail: string): Promise<Buffer<ArrayBuffer>> {
  const headBytes = Buffer.byteLength(head);
  const json = Buffer.allocUnsafe(headBytes + 4 * Math.ceil(bytes.length / 3) + tail.length);
  let end = json.write(head);
  for (let start = 0; start < bytes.length; start += BASE64_PIECE_BYTES) {
    if (start > 0) await nextTurn();
    const { buffer, byteOffset, length } = bytes.subarray(start, start + BASE64_PIECE_BYTES);
    end += json.write(Buffer.from(buffer, byteOffset, length).toString('base64'), end, 'latin1');
  }
  json.write(tail, end);
  return json;
}
