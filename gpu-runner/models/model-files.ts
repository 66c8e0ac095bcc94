/**
 * The models: their manifests, on disk or fetched, and the proof that each of their files is the one that its manifest
 * describes. Files that are not on disk are fetched into a cache, in a folder of their version.
 */
import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import {
  manifestSchema,
  type ModelFile,
  type ModelManifest,
  type ModelVariant,
} from '@deblur/shared/protocol/model-manifest.ts';
import type { ModelName } from '@deblur/shared/protocol/options.ts';
import type { HttpClient } from '../transfers/http-client.ts';
import { MANIFEST_MAX_BYTES, TRANSFER_TIMEOUT_MS } from '../limits.ts';
import type { Log } from '../ops/log.ts';
import { downloadFile, sha256OfFile } from './model-download.ts';
import { getFollowing } from '../transfers/redirects.ts';

export interface ModelFilesOptions {
  /** `<dir>/<model>/manifest.json` and its files. */
  readonly dir: string;
  /** Where fetched files go: `<cacheDir>/<model>/<version>/`. */
  readonly cacheDir: string;
  /** URLs of further manifests; one of a model that is on disk, too, counts in its place. */
  readonly manifestUrls: readonly string[];
  /** Of a model's variants those that may run here: the others need not be there, and are not fetched. */
  readonly wanted: (manifest: ModelManifest) => readonly ModelVariant[];
  readonly http: HttpClient;
  readonly log: Log;
}

interface Model {
  readonly manifest: ModelManifest;
  /** Undefined: it was fetched. */
  readonly dir: string | undefined;
  /** Undefined: it was on disk. */
  readonly url: string | undefined;
}

export class ModelFiles {
  readonly #manifests: readonly ModelManifest[];
  /** By model, then by variant: where its graph lies. */
  readonly #paths: ReadonlyMap<ModelVariant, string>;

  private constructor(manifests: readonly ModelManifest[], paths: ReadonlyMap<ModelVariant, string>) {
    this.#manifests = manifests;
    this.#paths = paths;
  }

  /**
   * Reads every manifest; checks the wanted files of the models with trained weights, and fetches those that are missing. A folder
   * that is no model, and a model whose files are wrong, are left out, and the log says why.
   * @throws {Error} when no model is left, with the fault of the first; when a manifest that is named by its URL cannot be had
   */
  static async load(options: ModelFilesOptions): Promise<ModelFiles> {
    const faults: Error[] = [];
    const skip = (fault: Error): void => {
      faults.push(fault);
      options.log.error('model_skipped', fault);
    };
    const models = await findModels(options, skip);
    const manifests: ModelManifest[] = [];
    const paths = new Map<ModelVariant, string>();
    // What several variants refer to is large, and checked once.
    const checked = new Set<string>();
    for (const model of models.filter(({ manifest }) => manifest.trained !== null)) {
      try {
        for (const variant of options.wanted(model.manifest)) {
          paths.set(variant, await obtain(model, variant, checked, options));
        }
        manifests.push(model.manifest);
      } catch (error) {
        skip(error as Error);
      }
    }
    if (manifests.length === 0) throw faults[0] ?? new Error('no model with trained weights in MODEL_DIR');
    return new ModelFiles(manifests, paths);
  }

  /** Models with trained weights, the best first: by measured PSNR, where it is equal or missing by size. */
  offered(): readonly ModelManifest[] {
    return [...this.#manifests].sort((a, b) => measuredPsnr(b) - measuredPsnr(a) || b.parameters - a.parameters);
  }

  /** @param variant wanted, and of a manifest that is offered */
  path(variant: ModelVariant): string {
    const path = this.#paths.get(variant);
    if (path === undefined) throw new Error(`${variant.file} is of no model that is offered`);
    return path;
  }
}

/** @param skip is told of each folder whose manifest cannot be used */
async function findModels(
  { dir, manifestUrls, http }: ModelFilesOptions,
  skip: (fault: Error) => void,
): Promise<readonly Model[]> {
  const models = new Map<ModelName, Model>();
  for (const folder of await modelFolders(dir)) {
    try {
      const manifest = await readManifest(dir, folder);
      models.set(manifest.name, { manifest, dir: join(dir, folder), url: undefined });
    } catch (error) {
      skip(error as Error);
    }
  }
  for (const url of manifestUrls) {
    const manifest = await fetchManifest(url, http);
    models.set(manifest.name, { manifest, dir: undefined, url });
  }
  return [...models.values()];
}

/** @returns where the variant's graph lies, with everything that it refers to beside it; adds to `checked` what is right */
async function obtain(
  model: Model,
  variant: ModelVariant,
  checked: Set<string>,
  { cacheDir, http, log }: ModelFilesOptions,
): Promise<string> {
  const { manifest, dir } = model;
  const files: readonly ModelFile[] = [variant, ...(variant.external_data ?? [])];
  const isHere = dir !== undefined && files.every(({ file }) => existsSync(join(dir, file)));
  const folder = isHere ? dir : join(cacheDir, manifest.name, manifest.version);
  for (const file of files) {
    const path = join(folder, file.file);
    if (checked.has(path)) continue;
    const failed = (reason: string, cause?: unknown): Error =>
      new Error(`model ${manifest.name}: ${reason}`, cause === undefined ? {} : { cause });
    if (existsSync(path)) {
      const fault = await faultOf(path, file).catch((cause: unknown) => {
        throw failed(`${file.file} cannot be read`, cause);
      });
      if (fault !== undefined) throw failed(fault);
    } else {
      const url = urlOf(file, model);
      if (url === undefined) throw failed(`${file.file} cannot be read, and its manifest has no url`);
      log.info('model_download', { model: manifest.name, file: file.file, bytes: file.bytes, host: new URL(url).host });
      await downloadFile({ ...file, url, path }, http).catch((cause: unknown) => {
        throw failed(`${file.file} could not be fetched: ${cause instanceof Error ? cause.message : ''}`, cause);
      });
    }
    checked.add(path);
  }
  return join(folder, variant.file);
}

/** In what a file is not the manifest's; undefined: it is. */
async function faultOf(path: string, { file, bytes, sha256 }: ModelFile): Promise<string | undefined> {
  const { size } = await stat(path);
  if (size !== bytes) return `${file} has ${size} bytes, and its manifest says ${bytes}`;
  return (await sha256OfFile(path)) === sha256 ? undefined : `sha256 of ${file} is not the manifest's`;
}

function urlOf({ file, url }: ModelFile, { url: manifestUrl }: Model): string | undefined {
  return url ?? (manifestUrl === undefined ? undefined : new URL(file, manifestUrl).href);
}

/** Mean over the sets; unmeasured counts as nothing. */
function measuredPsnr({ measured }: ModelManifest): number {
  if (measured.length === 0) return 0;
  return measured.reduce((sum, { output }) => sum + output.psnr, 0) / measured.length;
}

async function modelFolders(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { withFileTypes: true }).catch((cause: unknown) => {
    throw new Error('MODEL_DIR cannot be read', { cause });
  });
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

/** @throws {Error} that names the folder and says why it is no model */
async function readManifest(dir: string, folder: string): Promise<ModelManifest> {
  const path = join(dir, folder, 'manifest.json');
  if (!existsSync(path)) throw new Error(`model ${folder}: it has no manifest.json`);
  let manifest: ModelManifest;
  try {
    manifest = manifestSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (cause) {
    throw new Error(`model ${folder}: manifest.json is invalid${placeOf(cause)}`, { cause });
  }
  if (manifest.name !== folder) throw new Error(`model ${folder}: its manifest names ${manifest.name}`);
  return manifest;
}

async function fetchManifest(url: string, http: HttpClient): Promise<ModelManifest> {
  try {
    const headers = { accept: 'application/json', 'accept-encoding': 'identity' };
    const { statusCode, body } = await getFollowing(url, http, headers, AbortSignal.timeout(TRANSFER_TIMEOUT_MS));
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      length += chunk.length;
      if (length > MANIFEST_MAX_BYTES) throw new Error(`it has more than ${MANIFEST_MAX_BYTES} bytes`);
      chunks.push(chunk);
    }
    if (statusCode !== 200) throw new Error(`status ${statusCode}`);
    return manifestSchema.parse(JSON.parse(Buffer.concat(chunks).toString()));
  } catch (cause) {
    throw new Error(`MODEL_MANIFESTS: ${new URL(url).host} gave no valid manifest${placeOf(cause)}`, { cause });
  }
}

/** Which of a manifest's fields is wrong, where it is one of them. */
function placeOf(cause: unknown): string {
  const issue = cause instanceof z.ZodError ? cause.issues[0] : undefined;
  return issue === undefined ? '' : ` (${issue.path.join('.')}: ${issue.message})`;
}
