/**
 * Size of what `wrangler deploy` would upload for the edge runner, each file compressed by gzip as Cloudflare counts it
 * (limit 10 MB on the paid plan). Source maps do not count; the model goes up as a static asset, with a limit of its own
 * (25 MiB a file). One JSON line.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { manifestSchema } from '@deblur/shared/protocol/model-manifest.ts';
import { BUNDLE_MAX_GZIP_BYTES, gzipSize, readBundle } from '../../../scripts/lib/bundle.ts';
import { bundle, weights } from './support.ts';

const directory = await mkdtemp(path.join(tmpdir(), 'deblur-bundle-'));
try {
  await bundle('workers/edge-runner/wrangler.toml', directory);
  const files = readBundle(directory);
  const manifest = manifestSchema.parse(JSON.parse(await readFile(`${weights}/dhnet-edge/manifest.json`, 'utf8')));
  console.log(
    JSON.stringify({
      bench: 'edge-bundle',
      gzip_bytes: gzipSize(files),
      limit_bytes: BUNDLE_MAX_GZIP_BYTES,
      files: Object.fromEntries(files.map(({ name, gzipBytes }) => [name, gzipBytes])),
      model_asset_bytes: manifest.checkpoint?.bytes,
    }),
  );
} finally {
  await rm(directory, { recursive: true, force: true });
}
