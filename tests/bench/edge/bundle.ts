/**
 * Size of what `wrangler deploy` would upload for the edge runner, each file compressed by gzip as Cloudflare counts it
 * (limit 10 MB on the paid plan). Source maps do not count; the model goes up as a static asset, with a limit of its own
 * (25 MiB a file). One JSON line.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { manifestSchema, variantOf } from '@deblur/shared/model-manifest.ts';
import { bundle, weights } from './support.ts';

const directory = await mkdtemp(path.join(tmpdir(), 'deblur-bundle-'));
try {
  await bundle('workers/edge-runner/wrangler.toml', directory);
  const sizes: Record<string, number> = {};
  for (const name of await readdir(directory)) {
    if (name.endsWith('.map') || name === 'README.md') continue;
    // Wrangler puts a hash before the name of a module.
    const plain = name.replace(/^[0-9a-f]{40}-/, '');
    sizes[plain] = gzipSync(await readFile(path.join(directory, name))).length;
  }
  const manifest = manifestSchema.parse(JSON.parse(await readFile(`${weights}/dhnet-edge/manifest.json`, 'utf8')));
  console.log(
    JSON.stringify({
      bench: 'edge-bundle',
      gzip_bytes: Object.values(sizes).reduce((sum, size) => sum + size, 0),
      limit_bytes: 10_000_000,
      files: sizes,
      model_asset_bytes: variantOf(manifest, 'uint8').bytes,
    }),
  );
} finally {
  await rm(directory, { recursive: true, force: true });
}
