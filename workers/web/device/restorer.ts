/** One picture on this device, from file to file, with WebGPU where it serves and WebAssembly everywhere else. */
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import { tilingOf, variantOf, type ModelFile, type ModelManifest } from '@deblur/shared/protocol/model-manifest.ts';
import { MEDIA_TYPES } from '@deblur/shared/protocol/options.ts';
import type { RawImage } from '@deblur/shared/pixels/raw-image.ts';
import { restoreImage, type Restored } from '@deblur/shared/pixels/restore.ts';
import type { Activity, DeviceNote } from '../app/item.ts';
import { DEVICE_FORMATS, type DeviceFormat } from '../app/settings.ts';
import { decodePicture, encodePicture, type DecodedPicture } from './codec.ts';
import type { DeviceRequest, DeviceResult } from './messages.ts';
import { KernelPool } from './kernel-pool.ts';
import { fetchManifest, loadModel } from './model-store.ts';
import { hasWebGpu, OrtSession } from './ort-session.ts';

type Provider = 'webgpu' | 'wasm';

/** What goes into the network. WebGPU has no 8-bit tensors, so its graph takes floats. */
const SAMPLES = { webgpu: 'float32', wasm: 'uint8' } as const;

type Report = (activity: Activity) => void;

interface Loaded {
  readonly provider: Provider;
  readonly manifest: ModelManifest;
  readonly session: OrtSession | KernelPool;
}

let loaded: Loaded | null = null;
/** Once WebGPU has failed here it is not tried again: its runtime stays failed. */
let webGpuFailed = false;

/** @throws {DeblurError} every failure that can be foreseen */
export async function restoreOnDevice(request: DeviceRequest, report: Report): Promise<DeviceResult> {
  const bytes = new Uint8Array(await request.file.arrayBuffer());
  if (bytes.length === 0) throw new DeblurError('empty_body', 'The file has no bytes.');
  const decoded = await decodePicture(request.file, bytes);
  const { image, ...facts } = await restorePixels(decoded, request.forceWebGpu, report);
  report({ kind: 'writing' });
  const format = outputFormat(request.format, decoded);
  const { header } = decoded;
  const picture = await encodePicture(image, { format, metadata: request.metadata, source: bytes, header });
  return { kind: 'restored', picture, ...facts, notes: notesOn(decoded, format, picture) };
}

interface RestoredPixels extends Pick<Restored, 'scale' | 'change'> {
  readonly image: RawImage;
  readonly engine: string;
  readonly model: string;
}

async function restorePixels(picture: DecodedPicture, forceWebGpu: boolean, report: Report): Promise<RestoredPixels> {
  if (!webGpuFailed && (await hasWebGpu(forceWebGpu))) {
    try {
      return await restoreWith('webgpu', picture, report);
    } catch (error) {
      if (!(error instanceof DeblurError) || error.code !== 'runner_failed') throw error;
      webGpuFailed = true;
    }
  }
  return restoreWith('wasm', picture, report);
}

async function restoreWith(
  provider: Provider,
  { image, orientation }: DecodedPicture,
  report: Report,
): Promise<RestoredPixels> {
  const { session, manifest } = await load(provider, report);
  const restored = await restoreImage(image, {
    session,
    tiling: tilingOf(manifest),
    orientation,
    scale: 'auto',
    samples: SAMPLES[provider],
    concurrency: session.concurrency,
    onProgress: (done, total) => report({ kind: 'tiles', done, total }),
  });
  const { scale, change } = restored;
  return {
    image: restored.image,
    scale,
    change,
    engine: engineName(provider, session.concurrency),
    model: `${manifest.name}@${manifest.version.slice(0, 12)}`,
  };
}

async function load(provider: Provider, report: Report): Promise<Loaded> {
  if (loaded?.provider === provider) return loaded;
  await loaded?.session.release();
  loaded = null;
  const manifest = await fetchManifest();
  const load = (file: ModelFile): Promise<Uint8Array> =>
    loadModel(file, (done, total) => report({ kind: 'model', done, total }));
  const session =
    provider === 'webgpu' ? await startWebGpu(manifest, load, report) : await startKernels(manifest, load, report);
  loaded = { provider, manifest, session };
  return loaded;
}

type Load = (file: ModelFile) => Promise<Uint8Array>;

async function startWebGpu(manifest: ModelManifest, load: Load, report: Report): Promise<OrtSession> {
  const variant = variantOf(manifest, SAMPLES.webgpu);
  const model = await load(variant);
  report({ kind: 'starting', provider: 'webgpu' });
  return OrtSession.create(model, variant);
}

async function startKernels({ checkpoint }: ModelManifest, load: Load, report: Report): Promise<KernelPool> {
  if (checkpoint === undefined) {
    throw new DeblurError('model_unavailable', 'This service has no weights for devices without WebGPU.');
  }
  const weights = await load(checkpoint);
  report({ kind: 'starting', provider: 'wasm' });
  return KernelPool.create(weights);
}

function engineName(provider: Provider, threads: number): string {
  if (provider === 'webgpu') return 'WebGPU';
  const name = threads === 1 ? 'WebAssembly' : `WebAssembly, ${threads} threads`;
  return webGpuFailed ? `${name} (WebGPU failed)` : name;
}

/** `auto` is the source's format where the browser can write it, else PNG, which loses nothing. */
function outputFormat(wanted: DeviceRequest['format'], { header }: DecodedPicture): DeviceFormat {
  return DEVICE_FORMATS.find((format) => format === (wanted === 'auto' ? header.format : wanted)) ?? 'png';
}

function notesOn({ header }: DecodedPicture, format: DeviceFormat, { type }: Blob): DeviceNote[] {
  const notes: DeviceNote[] = [];
  if (header.bitDepth === 16) notes.push('eight-bits');
  if (type !== MEDIA_TYPES[format]) notes.push('png-instead');
  return notes;
}
