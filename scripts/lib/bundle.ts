// What `wrangler deploy --dry-run --outdir` wrote: the files that would be uploaded, and their size as Cloudflare counts it.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';

/** Compressed, on the paid plan (https://developers.cloudflare.com/workers/platform/limits/#worker-size). */
export const BUNDLE_MAX_GZIP_BYTES = 10_000_000;

export interface BundleFile {
  /** Without the hash that wrangler puts before the name of a module. */
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly gzipBytes: number;
}

/** Source maps do not count, and wrangler's own README.md is not uploaded. */
export function readBundle(directory: string): BundleFile[] {
  return readdirSync(directory)
    .filter((name) => !name.endsWith('.map') && name !== 'README.md')
    .map((name) => {
      const bytes = readFileSync(path.join(directory, name));
      return { name: name.replace(/^[0-9a-f]{40}-/, ''), bytes, gzipBytes: gzipSync(bytes).length };
    });
}

export function gzipSize(files: readonly BundleFile[]): number {
  return files.reduce((sum, { gzipBytes }) => sum + gzipBytes, 0);
}
