/** Restores pictures in this process, without a service. Needs the packages onnxruntime-node and sharp. */
import type { PredictionMetrics, RestoreOptions } from '../client/types.ts';
import { LocalModel } from './model.ts';
import { restorePicture } from './restore-picture.ts';

export interface LocalOptions extends RestoreOptions {
  readonly signal?: AbortSignal | undefined;
  /** Tiles that are done, and tiles in all. */
  readonly onProgress?: ((progress: { readonly done: number; readonly total: number }) => void) | undefined;
}

export interface LocalResult {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Its media type. */
  readonly type: string;
  readonly metrics: PredictionMetrics;
  /** `name@version` of the model that ran. */
  readonly model: string;
}

let opening: Promise<LocalModel> | undefined;

/**
 * Restores a picture by the model that comes with this package.
 * @param picture the whole file: JPEG, PNG, WebP, AVIF or TIFF
 * @throws {DeblurError} with the code that the service would answer; the signal's reason
 */
export async function deblurLocally(picture: Uint8Array, options: LocalOptions = {}): Promise<LocalResult> {
  opening ??= LocalModel.open();
  return restorePicture(picture, await opening, options);
}
