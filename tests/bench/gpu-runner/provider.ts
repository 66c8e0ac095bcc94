/** What the benches run on: EXECUTION_PROVIDER, by default the CPU. Figures of another one than was asked for are none. */
import { EXECUTION_PROVIDERS } from '../../../gpu-runner/config.ts';
import type { ExecutionProvider } from '../../../gpu-runner/config.ts';
import { startServer, type RunningServer } from '../../gpu-runner/support/runner.ts';

const asked = process.env['EXECUTION_PROVIDER'] ?? 'cpu';
const found = EXECUTION_PROVIDERS.find((name): name is ExecutionProvider => name === asked && name !== 'auto');
if (found === undefined) throw new Error(`EXECUTION_PROVIDER: must be tensorrt, cuda or cpu, not ${asked}`);

export const PROVIDER = found;

/** Where CUDA's libraries lie, and which GPU is meant. */
const GPU_VARIABLES = ['LD_LIBRARY_PATH', 'CUDA_VISIBLE_DEVICES'] as const;

/** @throws {Error} with the runner's own reason, when it does not run on PROVIDER */
export async function startOnProvider(env: Readonly<Record<string, string>> = {}): Promise<RunningServer> {
  const gpu = Object.fromEntries(
    GPU_VARIABLES.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  ) as Record<string, string>;
  const server = await startServer({ ...gpu, EXECUTION_PROVIDER: PROVIDER, ...env });
  const { setup } = await server.health();
  if (setup.execution_provider?.used === PROVIDER) return server;
  await server.stop();
  throw new Error(`the runner does not run on ${PROVIDER}: ${setup.logs}`);
}
