/** `python -m dhnet speed` beside a bench: it measures a round whenever it is asked to, so that both take turns. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { ExecutionProvider } from '../../../gpu-runner/config.ts';

const root = path.resolve(import.meta.dirname, '../../..');

/** What one engine does with batches of one size. */
export interface Row {
  readonly engine: string;
  readonly type: string;
  readonly batch: number;
  readonly tiles_per_second: number;
}

export interface PyTorchOptions {
  /** Folder of an exported model, with the slim checkpoint of the same weights. */
  readonly model: string;
  readonly provider: ExecutionProvider;
  readonly batches: readonly number[];
  /** For each row. */
  readonly seconds: number;
}

export interface PyTorch {
  /** @throws {Error} when the command has ended; it says why on standard error */
  round(): Promise<readonly Row[]>;
  stop(): void;
}

export function startPyTorch({ model, provider, batches, seconds }: PyTorchOptions): PyTorch {
  const device = provider === 'cpu' ? 'cpu' : 'cuda';
  const child = spawn(
    process.execPath,
    [
      ...['scripts/model.ts', 'speed', '--in-turns', '--model', model, '--device', device],
      ...['--seconds', String(seconds), '--batch', ...batches.map(String)],
    ],
    { cwd: root, stdio: ['pipe', 'pipe', 'inherit'] },
  );
  // What it does not read because it has ended is told by `round`.
  child.stdin.on('error', () => undefined);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const round = async (): Promise<readonly Row[]> => {
    child.stdin.write('\n');
    const { value, done } = await lines.next();
    if (done === true) throw new Error('python -m dhnet speed ended before it was asked to');
    return JSON.parse(value) as Row[];
  };
  return { round, stop: () => void child.stdin.end() };
}
