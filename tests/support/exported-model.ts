/** Models exported by the real exporter from weights that a seed gave. */
import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const root = path.resolve(import.meta.dirname, '../..');
const python = path.join(root, 'model-export/.venv/bin/python');

const run = promisify(execFile);
const seeded = (...args: string[]) => run(python, ['tests/model-export/seeded.py', ...args], { cwd: root });

/**
 * Exports a DHNet-B with a UFPNet, one block per level, as `npm run model -- export` does.
 * @param dir gets `last.pt`, `prior.pth` and, under `models/dhnet-b`, what was exported
 * @param width channels of the first level: 64 is DHNet-B's
 * @returns the folder of what was exported
 */
export async function exportDhnetB(dir: string, width: number, ...options: string[]): Promise<string> {
  const out = path.join(dir, 'models/dhnet-b');
  await mkdir(out, { recursive: true });
  await seeded('make', dir, String(width));
  const files = ['--checkpoint', path.join(dir, 'last.pt'), '--prior', path.join(dir, 'prior.pth'), '--out', out];
  await run(process.execPath, ['scripts/model.ts', 'export', 'dhnet-b', ...files, ...options], { cwd: root });
  return out;
}

/** PyTorch restores a picture file with the weights of `exportDhnetB`, by tiles as the manifest says. */
export async function restoreByPyTorch(dir: string, picture: string, restored: string): Promise<void> {
  await seeded('restore', dir, path.join(dir, 'models/dhnet-b'), picture, restored);
}
