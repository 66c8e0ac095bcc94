// Fresh clone → npm start → first restored picture: wall time with npm's cache as it is, and with an empty one.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { freePort, root } from '../../../scripts/lib/service.ts';
import { fixture } from '../../support/images.ts';

async function firstPicture(cache: string | undefined): Promise<{ ready_s: number; first_picture_s: number }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'deblur-first-'));
  const clone = path.join(folder, 'clone');
  if (spawnSync('git', ['clone', '--quiet', root, clone]).status !== 0) throw new Error('git clone failed');
  const env = { ...process.env, PORT: String(await freePort()), ...(cache ? { npm_config_cache: cache } : {}) };
  const start = performance.now();
  const seconds = (): number => Number(((performance.now() - start) / 1000).toFixed(1));
  const child = spawn('npm', ['start'], { cwd: clone, env, stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  try {
    let url: string | undefined;
    for await (const line of createInterface({ input: child.stdout })) {
      url = /^Deblur is ready: (\S+)$/.exec(line)?.[1];
      if (url !== undefined) break;
    }
    if (url === undefined || child.pid === undefined) throw new Error('npm start ended without a word');
    const ready_s = seconds();
    const body = new Uint8Array(await fixture('reds/blur.png'));
    const response = await fetch(`${url}/v1/deblur`, { method: 'POST', body });
    await response.arrayBuffer();
    if (response.status !== 200) throw new Error(`the first picture was answered with ${response.status}`);
    return { ready_s, first_picture_s: seconds() };
  } finally {
    const gone = once(child, 'exit');
    if (child.pid !== undefined && child.exitCode === null) {
      process.kill(-child.pid, 'SIGINT');
      await gone;
    }
    await rm(folder, { recursive: true, force: true });
  }
}

const emptyCache = await mkdtemp(path.join(tmpdir(), 'deblur-npm-cache-'));
const cold = await firstPicture(emptyCache);
await rm(emptyCache, { recursive: true, force: true });
const warm = await firstPicture(undefined);
console.log(JSON.stringify({ bench: 'first-picture', picture: '1280×720 PNG', empty_cache: cold, warm_cache: warm }));
