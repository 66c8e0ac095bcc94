/**
 * Starts the bench Worker in workerd, and ends it again. It is bundled first and served from the bundle, with a copy of
 * the model: what is changed meanwhile in the repository restarts nothing.
 */
import { execFile, spawn } from 'node:child_process';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { buildWasm } from '../../../workers/edge-runner/build/index.ts';

const START_TIMEOUT_MS = 120_000;
const root = new URL('../../../', import.meta.url);

export interface BenchWorker {
  readonly url: string;
  readonly inspectorUrl: string;
  readonly workerdPid: number;
  stop(): Promise<void>;
}

/** Where the model lies; DEBLUR_WEIGHTS names another folder than the repository's. */
export const weights = process.env['DEBLUR_WEIGHTS'] ?? fileURLToPath(new URL('model-export/weights', root));

const wranglerCli = fileURLToPath(new URL('node_modules/wrangler/bin/wrangler.js', root));
const environment = (): NodeJS.ProcessEnv => ({ ...process.env, CI: '1', WRANGLER_SEND_METRICS: 'false' });

/** Bundles a Worker as a deployment would, into `directory`. @param config path of its wrangler.toml, from the repository's root */
export async function bundle(config: string, directory: string): Promise<void> {
  await buildWasm();
  const args = ['deploy', '--dry-run', '--outdir', directory, '-c', fileURLToPath(new URL(config, root))];
  await promisify(execFile)(process.execPath, [wranglerCli, ...args, '--assets', weights], { env: environment() });
}

export async function startBenchWorker(): Promise<BenchWorker> {
  const directory = await mkdtemp(path.join(tmpdir(), 'deblur-bench-'));
  await bundle('tests/bench/edge/worker/wrangler.toml', directory);
  const source = readFileSync(new URL('worker/wrangler.toml', import.meta.url), 'utf8');
  const config = path.join(directory, 'wrangler.toml');
  await writeFile(config, source.replace('main = "index.ts"', 'main = "index.js"\nno_bundle = true'));
  const port = await freePort();
  const inspectorPort = await freePort();
  const assets = path.join(directory, 'assets');
  await cp(weights, assets, { recursive: true });
  const args = ['dev', '-c', config, '--assets', assets, '--port', `${port}`, '--inspector-port', `${inspectorPort}`];
  // A group of its own, so that Wrangler and the workerd below it can be ended together.
  const child = spawn(process.execPath, [wranglerCli, ...args], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: environment(),
  });
  const pid = child.pid;
  if (pid === undefined) throw new Error('wrangler did not start');
  const kill = (): void => {
    if (child.exitCode === null) process.kill(-pid, 'SIGTERM');
  };
  // The group would outlive a bench that is interrupted.
  const interrupt = (): never => process.exit(1);
  process.once('exit', kill).once('SIGINT', interrupt).once('SIGTERM', interrupt);
  const stop = async (): Promise<void> => {
    process.off('exit', kill).off('SIGINT', interrupt).off('SIGTERM', interrupt);
    const ended = new Promise((resolve) => child.once('exit', resolve));
    if (child.exitCode === null) {
      kill();
      await ended;
    }
    await rm(directory, { recursive: true, force: true });
  };
  try {
    let log = '';
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`workerd did not start:\n${log}`)), START_TIMEOUT_MS);
      const look = (chunk: Buffer): void => {
        log += chunk.toString();
        if (!log.includes('Ready on')) return;
        clearTimeout(late);
        resolve();
      };
      child.stdout.on('data', look);
      child.stderr.on('data', look);
      child.once('exit', () => reject(new Error(`wrangler ended:\n${log}`)));
    });
    const url = `http://localhost:${port}`;
    await (await fetch(url)).text();
    return { url, inspectorUrl: `ws://localhost:${inspectorPort}/ws`, workerdPid: workerdBelow(pid), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** The workerd with the most memory among the descendants: others serve Wrangler's proxy. */
function workerdBelow(ancestor: number): number {
  const found = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => isBelow(pid, ancestor) && processName(pid).startsWith('workerd'))
    .sort((a, b) => residentKiB(b, 'VmRSS') - residentKiB(a, 'VmRSS'));
  if (found[0] === undefined) throw new Error('workerd is not running');
  return found[0];
}

function isBelow(pid: number, ancestor: number): boolean {
  for (let at = pid; at > 1; at = Number(field(at, 'PPid'))) if (at === ancestor) return true;
  return false;
}

function processName(pid: number): string {
  return field(pid, 'Name');
}

/** A line of /proc/<pid>/status; empty when the process is gone. */
function field(pid: number, name: string): string {
  try {
    return new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '';
  } catch {
    return '';
  }
}

/** VmRSS: resident now; VmHWM: the most since the start or the last reset. */
export function residentKiB(pid: number, name: 'VmRSS' | 'VmHWM'): number {
  return Number.parseInt(field(pid, name), 10) || 0;
}

/**
 * Processor time that a process has used so far, in milliseconds, all its threads together. On a machine that is busy
 * otherwise it says more than the time that has passed.
 */
export function processorMs(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`).map((thread) => {
    try {
      return Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
    } catch {
      return 0;
    }
  });
  return threads.reduce((sum, nanoseconds) => sum + nanoseconds, 0) / 1e6;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

export function round(value: number, digits = 1): number {
  return Number(value.toFixed(digits));
}
