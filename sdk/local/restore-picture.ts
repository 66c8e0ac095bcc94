/** One file into another by the pixel path that the service runs. */
import { assertPixelLimits, readImageHeader, type ImageHeader } from '@deblur/shared/image-header/index.ts';
import { MAX_PIXELS } from '@deblur/shared/limits.ts';
import { readMetadata } from '@deblur/shared/metadata/index.ts';
import { applyOrientation } from '@deblur/shared/pixels/raw-image.ts';
import { restoreImage } from '@deblur/shared/pixels/restore.ts';
import { DeblurError as ServiceError, kindNotSupported, pictureAnimated } from '@deblur/shared/protocol/errors.ts';
import { assertFormatHolds } from '@deblur/shared/protocol/format-limits.ts';
import { MEDIA_TYPES, parseOptions, type Options } from '@deblur/shared/protocol/options.ts';
import { PictureFiles } from '../../gpu-runner/pictures/picture-files.ts';
import { sharpCodec, sharpSteps } from '../../gpu-runner/pictures/sharp-codec.ts';
import { tilingFor } from '../../gpu-runner/sessions/tile-shape.ts';
import { DeblurError } from '../client/errors.ts';
import { apiOptions } from '../client/picture.ts';
import type { LocalOptions, LocalResult } from './index.ts';
import type { LocalModel } from './model.ts';

/** @throws {DeblurError} what the picture or the options are refused for; the signal's reason */
export async function restorePicture(
  picture: Uint8Array,
  model: LocalModel,
  { signal, onProgress, ...wanted }: LocalOptions,
): Promise<LocalResult> {
  try {
    const options = parseOptions(apiOptions(wanted));
    assertModel(options, model);
    return await restored(picture, model, options, { signal, onProgress });
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    throw new DeblurError(error.code, error.detail, { fields: error.fields, cause: error.cause });
  }
}

type Following = Pick<LocalOptions, 'signal' | 'onProgress'>;

async function restored(
  source: Uint8Array,
  model: LocalModel,
  options: Options,
  { signal, onProgress }: Following,
): Promise<LocalResult> {
  const started = performance.now();
  signal?.throwIfAborted();
  const header = acceptHeader(source);
  if (options.format !== 'auto') assertFormatHolds(options.format, header);
  const metadata = await readMetadata(source, header.format);
  const { manifest } = model;
  const tiling = tilingFor(manifest, options.tile, 'cpu');
  const stored = await sharpCodec.decode(source, header);
  const session = await model.session(header.bitDepth === 16 ? 'float32' : 'uint8');
  const { image, tiles, scale, restoredPixels, change } = await restoreImage(
    applyOrientation(stored, header.orientation),
    {
      session,
      tiling,
      orientation: 1,
      scale: options.working_scale,
      ...(signal === undefined ? {} : { signal }),
      onProgress: (done, total) => onProgress?.({ done, total }),
    },
  );
  const { format, quality, metadata: mode } = options;
  const encoding = { format: format === 'auto' ? undefined : format, quality, metadata: mode };
  const of = { header, metadata, codec: sharpSteps };
  const files = new PictureFiles({ encoding, wantMaster: false, wantResult: true }, of);
  const { result } = await files.written(image);
  files.close();
  if (result === undefined) throw new Error('no result was written');
  const megapixels = (image.width * image.height) / 1e6;
  const predict_time = (performance.now() - started) / 1000;
  return {
    bytes: new Uint8Array(result),
    type: MEDIA_TYPES[files.format],
    metrics: {
      predict_time,
      megapixels,
      tiles,
      scale,
      restored_megapixels: restoredPixels / 1e6,
      change,
      placement: 'local',
    },
    model: `${manifest.name}@${manifest.version.slice(0, 12)}`,
  };
}

/** Everything that the header can be refused for is refused before a pixel is decoded. */
function acceptHeader(source: Uint8Array): ImageHeader {
  const header = readImageHeader(source);
  // Its decoder is patented and not in this package.
  if (header.format === 'heic') throw kindNotSupported('HEIC photos');
  if (header.animated) throw pictureAnimated(header.format);
  assertPixelLimits(header, MAX_PIXELS);
  return header;
}

function assertModel({ model }: Options, { manifest }: LocalModel): void {
  if (model === 'auto' || model === manifest.name) return;
  throw new ServiceError('model_unavailable', `Without a service only ${manifest.name} is there, not ${model}.`);
}
