/** The model beside this Worker: manifest and weights, as static assets. */
import { sha256Hex } from '@deblur/shared/net/digest.ts';
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import { manifestSchema, type ModelManifest } from '@deblur/shared/protocol/model-manifest.ts';
import type { ModelName } from '@deblur/shared/protocol/options.ts';

/** Assets lie beside the Worker; one that takes longer than this is not coming. */
const ASSET_TIMEOUT_MS = 10_000;

export interface ModelFiles {
  readonly manifest: ModelManifest;
  /** Several megabytes: to be dropped once the session exists. */
  readonly weights: Uint8Array;
}

/** @throws {DeblurError} `runner_unavailable` when a file is missing, malformed or not the one that the manifest names */
export async function loadModelFiles(assets: Fetcher, name: ModelName): Promise<ModelFiles> {
  const manifest = manifestSchema.safeParse(
    JSON.parse(new TextDecoder().decode(await load(assets, name, 'manifest.json'))),
  );
  if (!manifest.success || manifest.data.name !== name) throw unusable(name, 'manifest is malformed', manifest.error);
  const { checkpoint } = manifest.data;
  if (checkpoint === undefined) throw unusable(name, 'manifest names no checkpoint');
  const weights = await load(assets, name, checkpoint.file);
  if ((await sha256Hex(weights)) !== checkpoint.sha256) throw unusable(name, 'weights differ from the manifest');
  return { manifest: manifest.data, weights };
}

async function load(assets: Fetcher, name: ModelName, file: string): Promise<Uint8Array> {
  // The host means nothing to an assets binding, but a URL must have one.
  const url = `https://assets.invalid/${name}/${file}`;
  const response = await assets.fetch(url, { signal: AbortSignal.timeout(ASSET_TIMEOUT_MS) });
  if (!response.ok) {
    await response.body?.cancel();
    throw unusable(name, `${file} is missing`);
  }
  return new Uint8Array(await response.arrayBuffer());
}

function unusable(name: ModelName, why: string, cause?: unknown): DeblurError {
  return new DeblurError('runner_unavailable', `The model ${name} cannot be loaded: its ${why}.`, { cause });
}
