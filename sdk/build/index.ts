// Builds what is published: JavaScript in dist/js (with the model and the licences of what is bundled), types in dist/types.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { builtinModules } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { manifestSchema, variantOf } from '@deblur/shared/protocol/model-manifest.ts';
import { build } from 'vite';

const sdk = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const root = path.dirname(sdk);
const output = path.join(sdk, 'dist/js');

const ENTRIES = {
  index: 'client/index.ts',
  webhooks: 'webhooks/index.ts',
  local: 'local/index.ts',
  cli: 'cli/main.ts',
};
/** Installed by whoever uses the entries that import them. */
const PEERS = ['onnxruntime-node', 'sharp', 'standardwebhooks'];

await build({
  configFile: false,
  root: sdk,
  logLevel: 'warn',
  resolve: { conditions: ['node', 'module', 'production'], mainFields: ['module', 'main'] },
  build: {
    outDir: output,
    emptyOutDir: true,
    target: 'es2022',
    minify: false,
    license: { fileName: 'THIRD-PARTY-LICENSES.md' },
    lib: { entry: ENTRIES, formats: ['es'] },
    rolldownOptions: { external: [/^node:/, ...builtinModules, ...PEERS], output: { chunkFileNames: '[name].js' } },
  },
});
await chmod(path.join(output, 'cli.js'), 0o755);
await copyModel();
buildTypes();

/** The variants that run natively on a CPU, each as its manifest describes it. */
async function copyModel(): Promise<void> {
  const from = path.join(root, 'model-export/weights/dhnet-edge');
  const to = path.join(output, 'models/dhnet-edge');
  await mkdir(to, { recursive: true });
  const manifest = manifestSchema.parse(JSON.parse(await readFile(path.join(from, 'manifest.json'), 'utf8')));
  const variants = [variantOf(manifest, 'uint8'), variantOf(manifest, 'float32')];
  for (const { file, sha256 } of variants) {
    const found = createHash('sha256')
      .update(await readFile(path.join(from, file)))
      .digest('hex');
    if (found !== sha256) throw new Error(`${file} is not the file that its manifest names: sha256 ${found}`);
    await copyFile(path.join(from, file), path.join(to, file));
  }
  await writeFile(path.join(to, 'manifest.json'), JSON.stringify({ ...manifest, variants }));
}

function buildTypes(): void {
  const tsc = path.join(root, 'node_modules/.bin/tsc');
  const { status } = spawnSync(tsc, ['--build', sdk, path.join(sdk, 'tsconfig.node.json')], {
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) throw new Error('the types could not be built');
}
