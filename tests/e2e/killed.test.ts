import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { startAsUser } from '../support/start.ts';

interface Process {
  readonly pid: number;
  readonly parent: number;
}

/** Of this machine, but for those that have ended and are not waited for. */
function living(): Process[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,stat='], { encoding: 'utf8' }).trim().split('\n');
  return lines.flatMap((line) => {
    const [pid, parent, state = ''] = line.trim().split(/\s+/);
    return state.startsWith('Z') ? [] : [{ pid: Number(pid), parent: Number(parent) }];
  });
}

function descendants(ancestor: number, all = living()): number[] {
  const children = all.filter(({ parent }) => parent === ancestor).map(({ pid }) => pid);
  return [...children, ...children.flatMap((pid) => descendants(pid, all))];
}

it('npm start leaves nothing running when it is killed', async () => {
  const { child, url, interrupt } = await startAsUser();
  // The runner, wrangler's two processes, and workerd at least.
  const parts = new Set(descendants(child.pid!));
  const left = () => living().filter(({ pid }) => parts.has(pid));
  expect(parts.size).toBeGreaterThanOrEqual(4);
  try {
    child.kill('SIGKILL');
    await expect.poll(left, { timeout: 60_000, interval: 100 }).toEqual([]);
    await expect(fetch(url)).rejects.toThrow();
  } finally {
    for (const { pid } of left()) process.kill(pid, 'SIGKILL');
    await interrupt();
  }
});
