import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { root } from '../../scripts/lib/service.ts';

export interface PackedSdk {
  /** A folder of its own, with nothing but the package in its node_modules. */
  readonly folder: string;
  /** Files of the package, relative to it. */
  readonly files: readonly string[];
  /** The command as npx runs it. */
  readonly command: string;
}

/** Packs sdk/ as `npm publish` would and installs the archive into an empty folder, without a registry. */
export async function installPackedSdk(): Promise<PackedSdk> {
  const folder = await mkdtemp(path.join(tmpdir(), 'deblur-sdk-'));
  const [packed] = JSON.parse(npm(path.join(root, 'sdk'), 'pack', '--json', '--pack-destination', folder)) as [
    { readonly filename: string; readonly files: readonly { readonly path: string }[] },
  ];
  await writeFile(path.join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  npm(folder, 'install', `./${packed.filename}`, '--offline', '--ignore-scripts', '--no-audit', '--no-fund');
  const command = path.join(folder, 'node_modules/.bin/deblur');
  return { folder, files: packed.files.map((file) => file.path), command };
}

/** Puts this repository's copy of optional packages beside the package, as an installation would. */
export async function addPackages({ folder }: PackedSdk, ...names: readonly string[]): Promise<void> {
  for (const name of names) {
    const target = path.join(folder, 'node_modules', name);
    await mkdir(path.dirname(target), { recursive: true });
    await symlink(path.join(root, 'node_modules', name), target);
  }
}

function npm(cwd: string, ...args: readonly string[]): string {
  const { status, stdout, error } = spawnSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 2] });
  if (error) throw error;
  if (status !== 0) throw new Error(`npm ${args.join(' ')} ended with ${status}`);
  return stdout;
}
