/**
 * Stands in for the edge runner, by the same RPC: it counts what it is asked and restores nothing. Runs as a Worker of its
 * own beside the gateway; tests speak to it through the binding EDGE_CONTROL.
 */
import { WorkerEntrypoint } from 'cloudflare:workers';
import type { WireError } from '@deblur/shared/protocol/errors.ts';
import type { EdgeEncodeReply, EdgeRestoreReply, EdgeRestoreRequest } from '@deblur/shared/protocol/runner-api.ts';

export interface EdgeCalls {
  readonly restore: number;
  readonly encode: number;
}

let calls: EdgeCalls = { restore: 0, encode: 0 };
let held = false;
let failures: (WireError | 'throw')[] = [];
let health: 'READY' | 'SETUP_FAILED' = 'READY';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function released(): Promise<void> {
  while (held) await sleep(5);
}

const report = { tiles: 1, width: 8, height: 8, decodeMs: 1, restoreMs: 3, inferMs: 2, encodeMs: 1 };

export class EdgeRunner extends WorkerEntrypoint {
  async restore({ source, encoding, workingScale }: EdgeRestoreRequest): Promise<EdgeRestoreReply> {
    calls = { ...calls, restore: calls.restore + 1 };
    await released();
    const failure = failures.shift();
    if (failure === 'throw') throw new TypeError('the isolate fell over');
    if (failure !== undefined) return { ok: false, error: failure };
    const master = new Uint8Array([...new TextEncoder().encode('master:'), ...source.subarray(-16)]);
    const scale = typeof workingScale === 'number' ? workingScale : 1;
    const told = { ...report, scale, restoredPixels: 64, change: { mean: 1.5, max: 20, sharpness: 1.25 } };
    return { ok: true, master, result: encodeLike(master, JSON.stringify(encoding)), report: told };
  }

  async encode({ master, encoding }: { master: Uint8Array; encoding: unknown }): Promise<EdgeEncodeReply> {
    calls = { ...calls, encode: calls.encode + 1 };
    return { ok: true, result: encodeLike(master, JSON.stringify(encoding)) };
  }

  health(): { status: 'READY' | 'SETUP_FAILED' } {
    return { status: health };
  }
}

function encodeLike(master: Uint8Array, encoding: string): Uint8Array {
  return new Uint8Array([...new TextEncoder().encode(`${encoding}|`), ...master]);
}

/** The tests' side. */
export class EdgeControl extends WorkerEntrypoint {
  calls(): EdgeCalls {
    return calls;
  }

  /** Restorations wait until `release`. */
  hold(): void {
    held = true;
  }

  release(): void {
    held = false;
  }

  /** The next restorations fail so; `throw`: the call itself breaks. */
  failNext(...next: (WireError | 'throw')[]): void {
    failures = next;
  }

  setHealth(status: 'READY' | 'SETUP_FAILED'): void {
    health = status;
  }

  reset(): void {
    calls = { restore: 0, encode: 0 };
    held = false;
    failures = [];
    health = 'READY';
  }
}

export default {};
