/** What the pipeline needs from a runtime. Each runner implements these once; one case-suite runs against every implementation. */
import type { ImageHeader } from '../image-header/index.ts';
import type { EncodeOptions } from '../protocol/options.ts';
import type { RawImage } from './raw-image.ts';

/** One crop for the network: NHWC with N = 1 and C = 3. Bytes 0..255, or floats in [0, 1]; sides are multiples of the model's pad multiple. */
export interface Tile<Samples extends Uint8Array | Float32Array = Uint8Array | Float32Array> {
  readonly width: number;
  readonly height: number;
  readonly data: Samples;
}

/** A loaded model. Both methods give a tile of the same size and sample type back. */
export interface TileSession {
  /**
   * @param tile given away: its buffer may move to another thread
   * @returns it is given away, too: whoever gets it may write to it
   * @throws {DeblurError} `runner_failed` when the inference fails
   */
  run<Samples extends Uint8Array | Float32Array>(tile: Tile<Samples>, signal?: AbortSignal): Promise<Tile<Samples>>;
}

/** Pixels in and out of files. It carries no metadata (see metadata/) and applies no orientation (see raw-image.ts). */
export interface ImageCodec {
  /**
   * @param header what readImageHeader said of the same bytes
   * @returns pixels as stored: width and height of the header; 16-bit samples only for 16-bit sources
   * @throws {DeblurError} `image_undecodable`, `image_truncated`
   */
  decode(bytes: Uint8Array, header: ImageHeader): Promise<RawImage>;
  /** The file without metadata. Formats without alpha get the picture laid over white. */
  encode(image: RawImage, options: EncodeOptions): Promise<Uint8Array>;
}
