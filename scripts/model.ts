// npm run model -- <command> …: model-export's command line in its own environment.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { root } from './lib/service.ts';

const python = path.join(root, 'model-export/.venv/bin/python');
const { status, signal } = spawnSync(python, ['-m', 'dhnet', ...process.argv.slice(2)], {
  // npm changes into the project's folder; a path that the user wrote is meant from where they stand.
  cwd: process.env.INIT_CWD ?? process.cwd(),
  env: { ...process.env, PYTHONPATH: path.join(root, 'model-export') },
  stdio: 'inherit',
});
process.exit(signal ? 1 : (status ?? 1));
