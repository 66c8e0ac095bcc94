// The whole service on this machine: both Workers in workerd (wrangler dev) and the runner, as child processes.
// `npm start` and the end-to-end tests start it by the same function.
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { runnerModels } from './runner-models.ts';
import { silenceOf } from './watch.ts';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const bin = (name: string): string => path.join(root, 'node_modules/.bin', name);

const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 10_000;

export interface ServiceOptions {
  /** 0 or absent: a free one. */
  readonly port?: number;
  /** Where the Workers keep their storage between runs. */
  readonly stateDir?: string;
  /** Gets the children's lines. */
  readonly log?: (line: string) => void;
  readonly runnerEnv?: Readonly<Record<string, string>>;
  /** Aborting ends the start; nothing is left running. */
  readonly signal?: AbortSignal;
}

export interface Service {
  readonly url: string;
  readonly runnerUrl: string;
  readonly runnerToken: string;
  readonly pids: { readonly runner: number; readonly workers: number };
  readonly stop: () => Promise<void>;
  /** Resolves with the reason when a part dies by itself. */
  readonly exited: Promise<string>;
}

/** Starts everything and resolves when the first request can be served. */
export async function startService(options: ServiceOptions = {}): Promise<Service> {
  const { stateDir = path.join(root, '.deblur/state'), log = () => undefined, signal } = options;
  const port = options.port || (await freePort());
  const url = `http://127.0.0.1:${port}`;
  const runnerToken = randomBytes(32).toString('hex');
  const children: ChildProcess[] = [];
  const watch = new AbortController();
  const stop = () => {
    watch.abort();
    return stopAll(children);
  };
  try {
    const runner = startRunner({ url, runnerToken, log, env: options.runnerEnv });
    children.push(runner.child);
    const runnerUrl = await orDeath(runner.listening, signal, runner);
    const workers = startWorkers({ port, stateDir, runnerUrl, runnerToken, log });
    children.push(workers.child);
    await orDeath(untilHealthy(url), signal, runner, workers);
    // A wrangler whose workerd is gone keeps the port open and answers nobody.
    const silent = silenceOf(`${url}/healthz`, { signal: watch.signal });
    const exited = Promise.race([runner.died, workers.died, silent]);
    return {
      url,
      runnerUrl,
      runnerToken,
      pids: { runner: runner.child.pid ?? 0, workers: workers.child.pid ?? 0 },
      stop,
      exited,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

export type Log = (line: string) => void;
type Environment = Readonly<Record<string, string>>;

export interface Part {
  readonly name: string;
  readonly child: ChildProcess;
  /** Resolves with the part's last words when it ends. */
  readonly died: Promise<string>;
  readonly onLine: (listener: Log) => void;
}

export interface RunnerOptions {
  /** The gateway's origin. */
  readonly url: string;
  readonly runnerToken: string;
  readonly log: Log;
  readonly env?: Environment | undefined;
}

/**
 * What is read before the runner's first line, as in gpu-runner/Dockerfile; with both, memory stays (bench runner-memory). glibc
 * gives every thread an arena of its own, and what is freed in one is not used in another. V8 lets young objects take 48 MB
 * before it looks for garbage; the threads' own limit is in gpu-runner/limits.ts.
 */
export const RUNNER_ENV = { MALLOC_ARENA_MAX: '2', NODE_OPTIONS: '--max-semi-space-size=1' } as const;

export function startRunner({
  url,
  runnerToken,
  log,
  env = {},
}: RunnerOptions): Part & { readonly listening: Promise<string> } {
  const part = startPart('runner', bin('node'), ['gpu-runner/index.ts'], log, {
    ...RUNNER_ENV,
    HOST: '127.0.0.1',
    PORT: '0',
    RUNNER_TOKEN: runnerToken,
    ALLOW_ORIGINS: url,
    ...env,
  });
  const listening = new Promise<string>((resolve) => {
    part.onLine((line) => {
      if (line.startsWith('{') && line.includes('"listening"')) resolve((JSON.parse(line) as { url: string }).url);
    });
  });
  return { ...part, listening };
}

export interface WorkersOptions {
  readonly port: number;
  readonly stateDir: string;
  readonly runnerUrl: string;
  readonly runnerToken: string;
  readonly log: Log;
  /** Signs the runner's URLs; absent: a new one, so that those of another run are refused. */
  readonly internalSecret?: string;
  /** Instead of what the environment says of OPTIONAL_VARS. */
  readonly vars?: Environment;
}

/**
 * Handed on when they are set: ALLOW_ORIGINS for a webhook receiver or a source on this machine, CORS_ORIGINS for a page of
 * another origin, PUBLIC_URL and TRUSTED_PROXY behind a proxy, RUNNER_MODELS instead of what lies in MODEL_DIR. The optional
 * secrets of wrangler.toml are read from the environment anyway.
 */
const OPTIONAL_VARS = [
  'ALLOW_ORIGINS',
  'AUTO_BEST_MAX_PIXELS',
  'AUTO_PREFER',
  'CORS_ORIGINS',
  'IMAGE_LINK_SOURCES',
  'PUBLIC_URL',
  'RUNNER_MODELS',
  'SHARED_CACHE',
  'TRUSTED_PROXY',
];

/** The secret that names results: kept beside them, because another one would not find them. */
function keptSecret(file: string): string {
  if (existsSync(file)) return readFileSync(file, 'utf8');
  const secret = randomBytes(32).toString('hex');
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, secret, { mode: 0o600 });
  return secret;
}

export function startWorkers(options: WorkersOptions): Part {
  const { port, stateDir, runnerUrl, runnerToken, log } = options;
  const { internalSecret = randomBytes(32).toString('hex') } = options;
  const origin = `http://127.0.0.1:${port}`;
  const modelDir = process.env['MODEL_DIR'] ?? path.join(root, 'model-export/weights');
  const vars = { ENVIRONMENT: 'local', INTERNAL_ORIGIN: origin, RUNNER_URL: runnerUrl };
  const models = runnerModels(modelDir);
  if (models !== '') Object.assign(vars, { RUNNER_MODELS: models });
  for (const name of OPTIONAL_VARS) {
    const value = options.vars?.[name] ?? process.env[name];
    if (value) Object.assign(vars, { [name]: value });
  }
  // Secrets go by the environment: wrangler reads the required ones there, and arguments show in every process list.
  const resultKeySecret = keptSecret(path.join(stateDir, 'result-key-secret'));
  const secrets = { INTERNAL_SECRET: internalSecret, RESULT_KEY_SECRET: resultKeySecret, RUNNER_TOKEN: runnerToken };
  return startPart(
    'workers',
    bin('node'),
    [
      ...['--import', path.join(root, 'scripts/lib/end-with-parent.ts'), bin('wrangler')],
      ...['dev', '-c', 'wrangler.toml', '-c', 'workers/edge-runner/wrangler.toml'],
      ...['--ip', '127.0.0.1', '--port', String(port), '--inspector-port', '0'],
      ...['--persist-to', stateDir, '--show-interactive-dev-session=false', '--log-level', 'warn'],
      ...Object.entries(vars).flatMap(([name, value]) => ['--var', `${name}:${value}`]),
    ],
    log,
    // Everything stays on this machine.
    { ...secrets, WRANGLER_SEND_METRICS: 'false', CLOUDFLARE_CF_FETCH_ENABLED: 'false', NO_UPDATE_NOTIFIER: '1' },
  );
}

/** One child process: its lines go to the log, and its death is a promise with its last words. */
function startPart(name: string, command: string, args: readonly string[], log: Log, env: Environment): Part {
  const child = spawn(command, args, {
    cwd: root,
    env: {
      ...process.env,
      ...env,
      PATH: `${path.join(root, 'node_modules/.bin')}${path.delimiter}${process.env.PATH}`,
    },
    // By these the parts notice that we are gone, even when we were killed: the runner by the channel, wrangler by its stdin.
    stdio: ['pipe', 'pipe', 'pipe', 'ipc'],
    // A group of its own: Ctrl-C reaches us alone, and we end the parts in order, their own children included.
    detached: true,
  });
  const listeners: Log[] = [];
  const last: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface({ input: stream }).on('line', (line) => {
      log(`[${name}] ${line}`);
      last.push(line);
      if (last.length > 20) last.shift();
      for (const listener of listeners) listener(line);
    });
  }
  const died = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`${name} could not be started: ${error.message}`));
    child.once('exit', (code, signal) => resolve(`${name} ended (${signal ?? `exit ${code}`}):\n${last.join('\n')}`));
  });
  return { name, child, died, onLine: (listener) => void listeners.push(listener) };
}

/** What is promised, or an error with the last words of a part that dies before. */
export async function orDeath<T>(promise: Promise<T>, signal: AbortSignal | undefined, ...parts: Part[]): Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
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

/** Resolves when both placements serve. */
export async function untilHealthy(url: string): Promise<void> {
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

export async function stopAll(
  children: readonly ChildProcess[],
  first: 'SIGTERM' | 'SIGKILL' = 'SIGTERM',
): Promise<void> {
  await Promise.all(
    children.map(async (child) => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      signalGroup(child, first);
      const late = delay(STOP_TIMEOUT_MS, 'late', { ref: false });
      if ((await Promise.race([gone, late])) === 'late') signalGroup(child, 'SIGKILL');
      await gone;
    }),
  );
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It ended in between.
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
