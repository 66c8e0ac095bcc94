import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { root } from '../../../scripts/lib/service.ts';

const FOLDER = path.join(root, 'tests/e2e/fuzz');

/** Nothing, when the fuzzer is there already. */
export default function setup(): void {
  const script = path.join(root, 'scripts/setup.mjs');
  const { status } = spawnSync(process.execPath, [script, '--fuzz'], { stdio: ['ignore', 2, 2] });
  if (status !== 0) throw new Error('the fuzzer could not be installed');
}

/** Runs schemathesis as its configuration says. @returns its report, and whether it found nothing */
export async function fuzz(documentUrl: string): Promise<{ readonly ok: boolean; readonly report: string }> {
  const child = spawn(path.join(FOLDER, '.venv/bin/schemathesis'), ['run', documentUrl], {
    cwd: FOLDER,
    env: { ...process.env, SCHEMATHESIS_HOOKS: 'hooks', PYTHONPATH: FOLDER, PYTHONDONTWRITEBYTECODE: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [report, [code]] = await Promise.all([text(child.stdout), once(child, 'exit') as Promise<[number | null]>]);
  return { ok: code === 0, report };
}
