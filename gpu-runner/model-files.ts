/** The models on disk: their manifests, and the proof that each ONNX file is the one its manifest describes. */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { manifestSchema, type ModelManifest, type ModelVariant } from '@deblur/shared/model-manifest.ts';
import type { ModelName } from '@deblur/shared/options.ts';

export class ModelFiles {
  readonly #dir: string;
  readonly #manifests: ReadonlyMap<ModelName, ModelManifest>;

  private constructor(dir: string, manifests: ReadonlyMap<ModelName, ModelManifest>) {
    this.#dir = dir;
    this.#manifests = manifests;
  }

  /**
   * Reads every `<dir>/<model>/manifest.json` and checks all ONNX files that they name.
   * @throws {Error} that names the model and what is wrong: bad manifest, missing file, another sha256, nothing trained
   */
  static async load(dir: string): Promise<ModelFiles> {
    const manifests = new Map<ModelName, ModelManifest>();
    for (const folder of await modelFolders(dir)) {
      const manifest = await readManifest(dir, folder);
      if (manifest === undefined) continue;
      for (const { file, sha256 } of manifest.variants) {
        const actual = await sha256OfFile(join(dir, folder, file)).catch((cause: unknown) => {
          throw new Error(`model ${folder}: ${file} cannot be read`, { cause });
        });
        if (actual !== sha256) throw new Error(`model ${folder}: sha256 of ${file} is not the manifest's`);
      }
      manifests.set(manifest.name, manifest);
    }
    const files = new ModelFiles(dir, manifests);
    if (files.offered().length === 0) throw new Error('no model with trained weights in MODEL_DIR');
    return files;
  }

  /** Models with trained weights, the best first: by measured PSNR, where it is equal or missing by size. */
  offered(): readonly ModelManifest[] {
    return [...this.#manifests.values()]
      .filter((manifest) => manifest.trained !== null)
      .sort((a, b) => measuredPsnr(b) - measuredPsnr(a) || b.parameters - a.parameters);
  }

  async path(manifest: ModelManifest, { file }: ModelVariant): Promise<string> {
    return join(this.#dir, manifest.name, file);
  }
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

/** Undefined: the folder has none, so it is no model. */
async function readManifest(dir: string, folder: string): Promise<ModelManifest | undefined> {
  const path = join(dir, folder, 'manifest.json');
  if (!existsSync(path)) return undefined;
  let manifest: ModelManifest;
  try {
    manifest = manifestSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (cause) {
    throw new Error(`model ${folder}: manifest.json is invalid`, { cause });
  }
  if (manifest.name !== folder) throw new Error(`model ${folder}: its manifest names ${manifest.name}`);
  return manifest;
}

async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
