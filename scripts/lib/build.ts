// What must exist before the Workers run or are deployed: the page, and the edge runner's WebAssembly.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { root } from './service.ts';

const steps: readonly (readonly [what: string, command: string, args: readonly string[]])[] = [
  ['the page', 'vite', ['build', 'workers/web', '--logLevel', 'warn']],
  ['the edge runner’s WebAssembly', 'node', ['workers/edge-runner/build/index.ts']],
];

/** Builds everything, quietly; throws with the tool's own words. */
export function build(say: (line: string) => void = () => undefined): void {
  for (const [what, command, args] of steps) {
    say(`building ${what} …`);
    const { status, error } = spawnSync(path.join(root, 'node_modules/.bin', command), args, {
      cwd: root,
      stdio: ['ignore', 2, 2],
      env: { ...process.env, PATH: `${path.join(root, 'node_modules/.bin')}${path.delimiter}${process.env.PATH}` },
    });
    if (status !== 0) throw new Error(`building ${what} failed${error ? `: ${error.message}` : ''}`);
  }
}
