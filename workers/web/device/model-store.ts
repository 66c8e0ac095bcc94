/** The model's files: fetched from this origin, checked against the manifest, kept by the browser. */
import { sha256Hex } from '@deblur/shared/net/digest.ts';
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import { manifestSchema, type ModelFile, type ModelManifest } from '@deblur/shared/protocol/model-manifest.ts';

/** Where the build puts the edge model: the only one small enough for a browser. */
const MODEL_FOLDER = '/models/dhnet-edge/';
const CACHE_NAME = 'deblur-models';

const MANIFEST_TIMEOUT_MS = 20_000;
/** Some megabytes on a slow telephone line. */
const MODEL_TIMEOUT_MS = 300_000;

/** @throws {DeblurError} `source_fetch_failed`; `model_unavailable` when its weights are random */
export async function fetchManifest(): Promise<ModelManifest> {
  const response = await get(`${MODEL_FOLDER}manifest.json`, MANIFEST_TIMEOUT_MS);
  const parsed = manifestSchema.safeParse(await response.json().catch(() => null));
  if (!parsed.success) throw new DeblurError('source_fetch_failed', 'The description of the model is damaged.');
  if (parsed.data.trained === null) {
    throw new DeblurError('model_unavailable', 'This service has no trained model for devices yet.');
  }
  return parsed.data;
}

/**
 * A file of the model, from the browser's cache when it is there and sound.
 * @param onProgress bytes so far and in all
 * @throws {DeblurError} `source_fetch_failed` when it cannot be had, or is not what the manifest says
 */
export async function loadModel(
  file: ModelFile,
  onProgress: (done: number, total: number) => void,
): Promise<Uint8Array<ArrayBuffer>> {
  // Named by its content: a new model never meets an old file.
  const url = `${MODEL_FOLDER}${file.file}?sha256=${file.sha256}`;
  const cache = await openCache();
  const kept = await cache?.match(url);
  if (kept !== undefined) {
    const bytes = new Uint8Array(await kept.arrayBuffer());
    if ((await sha256Hex(bytes)) === file.sha256) return bytes;
  }
  const bytes = await download(url, file.bytes, onProgress);
  if ((await sha256Hex(bytes)) !== file.sha256) {
    throw new DeblurError('source_fetch_failed', 'The model arrived damaged.');
  }
  if (cache !== null) await keep(cache, url, bytes);
  return bytes;
}

async function get(url: string, timeoutMs: number): Promise<Response> {
  try {
    const response = await fetch(url, { cache: 'no-cache', signal: AbortSignal.timeout(timeoutMs) });
    if (response.ok) return response;
    throw new DeblurError('source_fetch_failed', `The model could not be fetched (status ${response.status}).`);
  } catch (error) {
    if (error instanceof DeblurError) throw error;
    throw new DeblurError('source_fetch_failed', 'The model could not be fetched.', { cause: error });
  }
}

async function download(
  url: string,
  total: number,
  onProgress: (done: number, total: number) => void,
): Promise<Uint8Array<ArrayBuffer>> {
  onProgress(0, total);
  const { body } = await get(url, MODEL_TIMEOUT_MS);
  const bytes = new Uint8Array(total);
  let done = 0;
  const reader = body?.getReader();
  try {
    for (let part = await reader?.read(); part?.value !== undefined; part = await reader?.read()) {
      // A longer file than promised is not the promised one.
      if (done + part.value.length > total) break;
      bytes.set(part.value, done);
      done += part.value.length;
      onProgress(done, total);
    }
  } catch (error) {
    throw new DeblurError('source_fetch_failed', 'The model stopped arriving.', { cause: error });
  } finally {
    await reader?.cancel().catch(() => undefined);
  }
  return bytes;
}

/** Private windows of some browsers have no cache: then the model is fetched each time. */
async function openCache(): Promise<Cache | null> {
  return globalThis.caches?.open(CACHE_NAME).catch(() => null) ?? null;
}

/** Keeps one version of each file. A full disk is no reason to fail: the bytes are here. */
async function keep(cache: Cache, url: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const [path] = url.split('?');
  try {
    for (const { url: old } of await cache.keys()) if (new URL(old).pathname === path) await cache.delete(old);
    await cache.put(url, new Response(bytes));
  } catch {
    return;
  }
}
