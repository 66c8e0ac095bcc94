// The whole service on this machine: both Workers in workerd (wrangler dev) and the runner, as child processes.
// `npm start` and the end-to-end tests start it by the same function.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const bin = (name) => path.join(root, 'node_modules/.bin', name);

const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 10_000;

/**
 * Starts everything and resolves when the first request can be served.
 * @param {{ port?: number, stateDir?: string, log?: (line: string) => void, runnerEnv?: Record<string, string>, signal?: AbortSignal }} [options]
 *   `port` 0 takes a free one; `stateDir` keeps results between runs; `log` gets the children's lines; an aborted
 *   `signal` ends the start, and nothing is left running.
 * @returns {Promise<{ url: string, runnerUrl: string, runnerToken: string, pids: number[],
 *   stop: () => Promise<void>, exited: Promise<string> }>} `exited` resolves with a reason when a part dies by itself
 */
export async function startService(options = {}) {
  const { stateDir = path.join(root, '.deblur/state'), log = () => undefined, signal } = options;
  const port = options.port || (await freePort());
  const url = `http://127.0.0.1:${port}`;
  const runnerToken = randomBytes(32).toString('hex');
  const children = [];
  const stop = () => stopAll(children);
  try {
    const runner = startRunner({ url, runnerToken, log, env: options.runnerEnv });
    children.push(runner.child);
    const runnerUrl = await orDeath(runner.listening, signal, runner);
    const workers = startWorkers({ port, stateDir, runnerUrl, runnerToken, log });
    children.push(workers.child);
    await orDeath(untilHealthy(url), signal, runner, workers);
    const exited = Promise.race([runner.died, workers.died]);
    return { url, runnerUrl, runnerToken, pids: children.map((child) => child.pid), stop, exited };
  } catch (error) {
    await stop();
    throw error;
  }
}

function startRunner({ url, runnerToken, log, env = {} }) {
  const part = startPart('runner', bin('node'), ['gpu-runner/index.ts'], log, {
    HOST: '127.0.0.1',
    PORT: '0',
    RUNNER_TOKEN: runnerToken,
    ALLOW_ORIGINS: url,
    ...env,
  });
  part.listening = new Promise((resolve) => {
    part.onLine((line) => {
      if (line.startsWith('{') && line.includes('"listening"')) resolve(JSON.parse(line).url);
    });
  });
  return part;
}

function startWorkers({ port, stateDir, runnerUrl, runnerToken, log }) {
  const vars = {
    ENVIRONMENT: 'local',
    INTERNAL_ORIGIN: `http://127.0.0.1:${port}`,
    INTERNAL_SECRET: randomBytes(32).toString('hex'),
    GPU_RUNNER_URL: runnerUrl,
    GPU_RUNNER_TOKEN: runnerToken,
  };
  return startPart(
    'workers',
    bin('wrangler'),
    [
      ...['dev', '-c', 'wrangler.toml', '-c', 'workers/edge-runner/wrangler.toml'],
      ...['--ip', '127.0.0.1', '--port', String(port), '--inspector-port', '0'],
      ...['--persist-to', stateDir, '--show-interactive-dev-session=false', '--log-level', 'warn'],
      ...Object.entries(vars).flatMap(([name, value]) => ['--var', `${name}:${value}`]),
    ],
    log,
    // Everything stays on this machine.
    { WRANGLER_SEND_METRICS: 'false', CLOUDFLARE_CF_FETCH_ENABLED: 'false', NO_UPDATE_NOTIFIER: '1' },
  );
}

/** One child process: its lines go to the log, and its death is a promise with its last words. */
function startPart(name, command, args, log, env) {
  const child = spawn(command, args, {
    cwd: root,
    env: {
      ...process.env,
      ...env,
      PATH: `${path.join(root, 'node_modules/.bin')}${path.delimiter}${process.env.PATH}`,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own: Ctrl-C reaches us alone, and we end the parts in order, their own children included.
    detached: true,
  });
  const listeners = [];
  const last = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      log(`[${name}] ${line}`);
      last.push(line);
      if (last.length > 20) last.shift();
      for (const listener of listeners) listener(line);
    });
  }
  const died = new Promise((resolve) => {
    child.once('error', (error) => resolve(`${name} could not be started: ${error.message}`));
    child.once('exit', (code, signal) => resolve(`${name} ended (${signal ?? `exit ${code}`}):\n${last.join('\n')}`));
  });
  return { name, child, died, onLine: (listener) => listeners.push(listener) };
}

async function orDeath(promise, signal, ...parts) {
  const aborted = new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(new Error('stopped')), { once: true });
  });
  const death = Promise.race(parts.map((part) => part.died)).then((reason) => Promise.reject(new Error(reason)));
  const late = delay(START_TIMEOUT_MS, undefined, { ref: false }).then(() =>
    Promise.reject(
      new Error(`not ready after ${START_TIMEOUT_MS / 1000} s: ${parts.map((part) => part.name).join(', ')}`),
    ),
  );
  return Promise.race([promise, death, late, aborted]);
}

async function untilHealthy(url) {
  for (;;) {
    try {
      const response = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(5_000) });
      await response.arrayBuffer();
      if (response.ok) return;
    } catch {
      // Not listening yet.
    }
    await delay(200);
  }
}

async function stopAll(children) {
  await Promise.all(
    children.map(async (child) => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      signalGroup(child, 'SIGTERM');
      const late = delay(STOP_TIMEOUT_MS, 'late', { ref: false });
      if ((await Promise.race([gone, late])) === 'late') signalGroup(child, 'SIGKILL');
      await gone;
    }),
  );
}

function signalGroup(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It ended in between.
  }
}

export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
