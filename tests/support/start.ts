import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { freePort, root } from '../../scripts/lib/service.ts';

export interface Started {
  readonly url: string;
  readonly child: ChildProcess;
  /** Ctrl-C, then the exit code; removes the storage. */
  readonly interrupt: () => Promise<number | null>;
}

/** Runs the script behind `npm start` with storage of its own, until its one line says that it serves. */
export async function startAsUser(env: Readonly<Record<string, string>> = {}): Promise<Started> {
  const port = await freePort();
  const stateDir = await mkdtemp(path.join(tmpdir(), 'deblur-state-'));
  const child = spawn(process.execPath, ['scripts/start.ts'], {
    cwd: root,
    env: { ...process.env, ...env, PORT: String(port), STATE_DIR: stateDir },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exit = once(child, 'exit') as Promise<[number | null]>;
  const url = await Promise.race([
    firstLine(child),
    exit.then(([code]) => Promise.reject(new Error(`npm start ended with ${code}`))),
  ]);
  const interrupt = async (): Promise<number | null> => {
    child.kill('SIGINT');
    const [code] = await exit;
    await rm(stateDir, { recursive: true, force: true });
    return code;
  };
  return { url, child, interrupt };
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('no stdout');
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /^Deblur is ready: (http:\S+)$/.exec(line)?.[1];
    if (url === undefined) throw new Error(`npm start printed: ${line}`);
    return url;
  }
  throw new Error('npm start printed nothing');
}
