/** The real server as a child process, started and stopped as `npm start` does it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { RUNNER_ENV } from '../../../scripts/lib/service.ts';
import type { HealthReport } from '../../../gpu-runner/predictions/runner-service.ts';
import type { PredictionView } from '../../../gpu-runner/predictions/prediction-json.ts';

const root = path.resolve(import.meta.dirname, '../../..');

/** The shipped weights, unless others are to be tested. */
export const MODEL_DIR = process.env['MODEL_DIR'] ?? path.join(root, 'model-export/weights');

/** The edge's model alone: its sessions open in a second, those of DHNet-B in ten. */
const EDGE_ONLY = mkdtempSync(path.join(tmpdir(), 'deblur-edge-only-'));
cpSync(path.join(MODEL_DIR, 'dhnet-edge'), path.join(EDGE_ONLY, 'dhnet-edge'), { recursive: true });
process.once('exit', () => rmSync(EDGE_ONLY, { recursive: true, force: true }));

export type JsonLine = Readonly<Record<string, unknown>>;

export interface RunningServer {
  readonly url: string;
  readonly pid: number;
  /** Lines of stdout so far. */
  readonly lines: readonly JsonLine[];
  /** @returns the exit code */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
  health(): Promise<HealthReport>;
  call(method: string, route: string, body?: unknown, init?: RequestInit): Promise<Answer>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** A prediction where the route answers with one. */
  readonly body: PredictionView & { readonly detail?: unknown };
}

/** Resolves when the server listens; `ready` also waits for its setup to be over, however that went. */
export async function startServer(
  env: Readonly<Record<string, string>> = {},
  { ready = true }: { ready?: boolean } = {},
): Promise<RunningServer> {
  const child = spawn(path.join(root, 'node_modules/.bin/node'), ['gpu-runner/index.ts'], {
    cwd: root,
    env: { ...RUNNER_ENV, PATH: process.env['PATH'] ?? '', PORT: '0', MODEL_DIR: EDGE_ONLY, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: JsonLine[] = [];
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  const url = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const entry = JSON.parse(line) as JsonLine;
      lines.push(entry);
      if (entry['event'] === 'listening') resolve(String(entry['url']));
    });
    void exited.then((code) => reject(new Error(`the runner ended with ${code}: ${stderr}`)));
  });
  const call = (method: string, route: string, body?: unknown, init: RequestInit = {}): Promise<Answer> =>
    callServer(url + route, method, body, init);
  const health = async (): Promise<HealthReport> => (await (await fetch(`${url}/health-check`)).json()) as HealthReport;
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> => {
    child.kill(signal);
    return exited;
  };
  const server = { url, pid: child.pid ?? 0, lines, stop, health, call };
  if (ready) await until(async () => (await health()).setup.status !== 'starting');
  return server;
}

async function callServer(url: string, method: string, body: unknown, init: RequestInit): Promise<Answer> {
  const response = await fetch(url, {
    method,
    ...init,
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    headers: { 'content-type': 'application/json', ...init.headers },
  });
  return { status: response.status, headers: response.headers, body: (await response.json()) as Answer['body'] };
}

/** Asks until the answer is yes; the test's own time-out bounds it. */
export async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await condition())) await sleep(20);
}
