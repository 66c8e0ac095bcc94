/** Puts the model that browsers run among the page's static assets, and keeps every asset below what Workers accept. */
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  manifestSchema,
  variantOf,
  type ModelFile,
  type ModelManifest,
} from '@deblur/shared/protocol/model-manifest.ts';
import type { Plugin } from 'vite';

/** Static assets of Workers: 25 MiB a file. */
const ASSET_MAX_BYTES = 25 * 1024 * 1024;

/** The bytes that a first restoration on the device may have to fetch, for the page to say so. */
export async function deviceDownloadBytes(modelFolder: string, runtimeFile: string): Promise<number> {
  const { size } = await stat(runtimeFile);
  return size + Math.max(...filesOf(await readManifest(modelFolder)).map(({ bytes }) => bytes));
}

/**
 * Copies the manifest and the files that browsers read to `models/<name>/`; each file must be what the manifest says.
 * @param modelFolder holds manifest.json and the files that it names
 */
export function modelFiles(modelFolder: string): Plugin {
  return {
    name: 'deblur:model-files',
    async buildStart() {
      const manifest = await readManifest(modelFolder);
      const folder = `models/${manifest.name}`;
      this.emitFile({ type: 'asset', fileName: `${folder}/manifest.json`, source: JSON.stringify(manifest) });
      for (const file of filesOf(manifest)) {
        const source = await readModelFile(modelFolder, file);
        this.emitFile({ type: 'asset', fileName: `${folder}/${file.file}`, source });
      }
    },
    generateBundle(_, bundle) {
      for (const file of Object.values(bundle)) {
        const bytes = file.type === 'asset' ? Buffer.byteLength(file.source) : Buffer.byteLength(file.code);
        if (bytes > ASSET_MAX_BYTES)
          this.error(`${file.fileName} has ${bytes} bytes; an asset may have ${ASSET_MAX_BYTES}`);
      }
    },
  };
}

/** The graph for WebGPU, and the weights for the kernels. @throws {Error} when the manifest lacks one of them */
function filesOf(manifest: ModelManifest): ModelFile[] {
  if (manifest.checkpoint === undefined) throw new Error(`model ${manifest.name} has no checkpoint: export it again`);
  return [variantOf(manifest, 'float32'), manifest.checkpoint];
}

async function readManifest(folder: string): Promise<ModelManifest> {
  const text = await readFile(join(folder, 'manifest.json'), 'utf8').catch(() => missing(folder, 'manifest.json'));
  return manifestSchema.parse(JSON.parse(text));
}

async function readModelFile(folder: string, { file, sha256 }: ModelFile): Promise<Uint8Array> {
  const bytes = await readFile(join(folder, file)).catch(() => missing(folder, file));
  const found = createHash('sha256').update(bytes).digest('hex');
  if (found !== sha256)
    throw new Error(`${join(folder, file)} is not the file that its manifest names: sha256 ${found}`);
  return bytes;
}

function missing(folder: string, file: string): never {
  throw new Error(`${join(folder, file)} is missing: the page needs the exported edge model (python -m dhnet export)`);
}
