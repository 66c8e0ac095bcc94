import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { build } from '../../../scripts/lib/build.ts';
import { root } from '../../../scripts/lib/service.ts';

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What the dry run bundles: built once, and left alone while other tests use it. */
export function ensureBuilt(): void {
  const outputs = ['workers/web/dist/index.html', 'workers/edge-runner/dist/wasm/webp-encode.wasm'];
  if (!outputs.every((file) => existsSync(path.join(root, file)))) build();
}

/** `npm run deploy -- --dry-run` with no account, no home and every proxy leading nowhere. */
export function dryRun(tree: string, home: string, env: Readonly<Record<string, string>> = {}): Outcome {
  const nowhere = 'http://127.0.0.1:9';
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [path.join(tree, 'scripts/deploy.ts'), '--dry-run', '--no-build'],
    {
      cwd: tree,
      encoding: 'utf8',
      env: { PATH: process.env['PATH'] ?? '', HOME: home, HTTP_PROXY: nowhere, HTTPS_PROXY: nowhere, ...env },
    },
  );
  return { code: status, stdout, stderr };
}

/** A copy of what a deployment reads, to be broken. Packages and the model are links. */
export function copyOfTree(): string {
  const tree = mkdtempSync(path.join(tmpdir(), 'deblur-tree-'));
  const inside = (file: string): boolean => !file.includes('node_modules');
  for (const entry of ['package.json', 'wrangler.toml', 'tsconfig.base.json', 'scripts', 'shared', 'workers']) {
    cpSync(path.join(root, entry), path.join(tree, entry), { recursive: true, filter: inside });
  }
  for (const link of [
    'node_modules',
    'model-export',
    'workers/gateway/node_modules',
    'workers/edge-runner/node_modules',
  ]) {
    if (existsSync(path.join(root, link))) symlinkSync(path.join(root, link), path.join(tree, link));
  }
  return tree;
}
