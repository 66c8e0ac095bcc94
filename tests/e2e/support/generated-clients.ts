import { spawnSync } from 'node:child_process';
import { mkdtemp, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { root } from '../../../scripts/lib/service.ts';

const TOOLS = path.join(root, 'tests/e2e/clients');

/** Nothing, when the generators are there already. */
export default function setup(): void {
  const script = path.join(root, 'scripts/setup.mjs');
  const { status } = spawnSync(process.execPath, [script, '--clients'], { stdio: ['ignore', 2, 2] });
  if (status !== 0) throw new Error('the generators of clients could not be installed');
}

/** A folder in which the generators' packages can be imported, with `openapi.json` in it. */
export async function clientFolder(document: string): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'deblur-clients-'));
  await symlink(path.join(TOOLS, 'node_modules'), path.join(folder, 'node_modules'));
  await writeFile(path.join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  await writeFile(path.join(folder, 'openapi.json'), document);
  return folder;
}

/** A program of the folder's node_modules. @returns everything that it said, when it failed or warned on stdout */
export function runNodeTool(folder: string, name: string, ...args: readonly string[]): string {
  return run(path.join(folder, 'node_modules/.bin', name), folder, args);
}

/** A program of the Python environment. */
export function runPythonTool(folder: string, name: string, ...args: readonly string[]): string {
  return run(path.join(TOOLS, '.venv/bin', name), folder, args);
}

function run(command: string, cwd: string, args: readonly string[]): string {
  const PATH = `${path.join(TOOLS, '.venv/bin')}${path.delimiter}${process.env.PATH}`;
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, PATH, PYTHONDONTWRITEBYTECODE: '1' },
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`${path.basename(command)} ended with ${status}:\n${stdout}${stderr}`);
  return stdout;
}
