// npm run runner: the runner alone, until Ctrl-C; then running predictions end first (a second Ctrl-C cancels them).
// Configured by gpu-runner/config.ts: PORT (default 5000), RUNNER_TOKEN, EXECUTION_PROVIDER, …; LOG=1 shows its lines.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { root, RUNNER_ENV } from './lib/service.ts';

interface Health {
  readonly status: string;
  readonly setup: {
    readonly logs: string;
    readonly execution_provider: { readonly used: string; readonly reason: string } | null;
  };
}

const say = (line: string): boolean => process.stderr.write(`${line}\n`);

const child = spawn(process.execPath, ['gpu-runner/index.ts'], {
  cwd: root,
  env: { ...RUNNER_ENV, ...process.env },
  // Its failures go straight to stderr. By the channel it notices when we are killed, and ends too.
  stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  // A group of its own: Ctrl-C reaches us alone, and once.
  detached: true,
});
const exited = once(child, 'exit').then(([code]) => code as number | null);
let stopping = false;
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(name, () => {
    stopping = true;
    child.kill('SIGTERM');
  });
}

createInterface({ input: child.stdout! }).on('line', (line) => {
  if (process.env.LOG) say(line);
  const listening = /"event":"listening".*"url":"([^"]+)"/.exec(line)?.[1];
  if (listening !== undefined) void announce(listening);
});

/** One line on stdout when the first prediction can be taken; a failed set-up ends the process with its reason. */
async function announce(url: string): Promise<void> {
  for (; !stopping; await delay(100)) {
    const { status, setup } = await health(url);
    if (status === 'STARTING') continue;
    if (setup.execution_provider === null) {
      say(`npm run runner: ${setup.logs}`);
      child.kill('SIGTERM');
      await exited;
      process.exit(1);
    }
    say(`execution provider: ${setup.execution_provider.used} (${setup.execution_provider.reason})`);
    return console.log(`Runner is ready: ${url}`);
  }
}

async function health(url: string): Promise<Health> {
  const response = await fetch(`${url}/health-check`, { signal: AbortSignal.timeout(10_000) });
  return (await response.json()) as Health;
}

const code = await exited;
process.exit(stopping ? (code ?? 1) : 1);
