import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { root } from '../../../scripts/lib/service.ts';

/** Nothing, when the validators are there already. */
export default function setup(): void {
  const script = path.join(root, 'scripts/setup.mjs');
  const { status } = spawnSync(process.execPath, [script, '--packaging'], { stdio: ['ignore', 2, 2] });
  if (status !== 0) throw new Error('the validators could not be installed');
}
