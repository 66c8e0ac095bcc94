/**
 * Sixteen mixed requests at once against the bare network: `npm run bench -- runner-throughput`. The runner's best model is
 * measured; MODEL_DIR has another one, and ROUNDS (default 5) fewer rounds for a slow one.
 *
 * `throughput_ratio`: tiles per second of the runner, files fetched, decoded, encoded and uploaded, over those of as many
 * threads that do nothing but call session.run back to back. Both are measured in turns, and each round is compared with
 * the bare network before and after it: the machine's speed drifts. `session_share` does not know of that drift: of the
 * processor time that the runner took in its rounds, the part that its session threads had.
 */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import type { ModelName } from '@deblur/shared/protocol/options.ts';
import { variantFor } from '../../../gpu-runner/models/variants.ts';
import { startReceiver } from '../../gpu-runner/support/receiver.ts';
import { MODEL_DIR } from '../../gpu-runner/support/runner.ts';
import { readManifest } from '../../gpu-runner/support/network.ts';
import { PROVIDER, startOnProvider } from './provider.ts';
import { median, photo, restore, round } from './support.ts';

const ROUNDS = Number(process.env['ROUNDS'] ?? 5);
const REQUESTS = 16;
const BARE_SECONDS = 5;
const SIZES = [
  [256, 256, 'png'],
  [640, 480, 'jpeg'],
  [1024, 768, 'jpeg'],
  [1280, 720, 'png'],
] as const;

const receiver = await startReceiver();
for (const [width, height, format] of SIZES) {
  receiver.sources.set(`/${width}.${format}`, await photo(width, height, format));
}
const server = await startOnProvider({
  ALLOW_ORIGINS: receiver.origin,
  SLOTS: String(REQUESTS),
});
const ready = server.lines.find(({ event }) => event === 'ready');
const sessions = Number(ready?.['sessions']);
const model = (await server.health()).setup.models[0]!.name as ModelName;
try {
  // V8 compiles what runs often: a runner that has been up for a minute is measured.
  await mixed('warm-up');
  const bares = [await bare()];
  const runners: number[] = [];
  const shares: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const before = await ticksOfThreads(server.pid);
    runners.push(await mixed(`round-${i}`));
    shares.push(shareOfBusiest(sessions, before, await ticksOfThreads(server.pid)));
    bares.push(await bare());
  }
  const ratios = runners.map((runner, i) => (2 * runner) / (bares[i]! + bares[i + 1]!));
  console.log(
    JSON.stringify({
      bench: 'gpu-runner/throughput',
      provider: PROVIDER,
      model,
      concurrent: REQUESTS,
      sessions,
      batch_size: ready?.['batch_size'],
      runner_tiles_per_second: round(median(runners)),
      bare_tiles_per_second: round(median(bares)),
      throughput_ratio: round(median(ratios)),
      throughput_ratios: ratios.map(round),
      session_share: round(median(shares)),
    }),
  );
} finally {
  await server.stop();
  await receiver.close();
}

/** @returns tiles per second */
async function mixed(name: string): Promise<number> {
  const start = performance.now();
  const done = await Promise.all(
    Array.from({ length: REQUESTS }, (_, i) => {
      const [width, , format] = SIZES[i % SIZES.length]!;
      return restore(server, receiver, `${name}-${i}`, `/${width}.${format}`, format);
    }),
  );
  receiver.uploads.length = 0;
  const tiles = done.reduce((sum, { metrics }) => sum + (metrics.tiles ?? 0), 0);
  return (tiles * 1000) / (performance.now() - start);
}

/** proc_pid_stat(5): user and system time of each thread, in clock ticks. */
async function ticksOfThreads(pid: number): Promise<Map<string, number>> {
  const folder = `/proc/${pid}/task`;
  const ticks = new Map<string, number>();
  for (const thread of await readdir(folder)) {
    const stat = await readFile(`${folder}/${thread}/stat`, 'utf8').catch(() => undefined);
    // The name, which may have spaces, ends with the last bracket; field 3 follows it.
    const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? [];
    ticks.set(thread, Number(fields[11] ?? 0) + Number(fields[12] ?? 0));
  }
  return ticks;
}

/** Nothing else is as busy as the sessions, which is how they are known. @returns 0 to 1 */
function shareOfBusiest(count: number, before: Map<string, number>, after: Map<string, number>): number {
  const spent = [...after].map(([thread, ticks]) => ticks - (before.get(thread) ?? 0)).sort((a, b) => b - a);
  const sum = (ticks: readonly number[]): number => ticks.reduce((total, one) => total + one, 0);
  return sum(spent.slice(0, count)) / sum(spent);
}

/** @returns tiles per second of threads that only call session.run */
async function bare(): Promise<number> {
  const manifest = await readManifest(model);
  const variant = variantFor(manifest, 'uint8', PROVIDER);
  const workerData = {
    path: path.join(MODEL_DIR, model, variant.file),
    input: variant.input.name,
    side: manifest.tile.size,
    seconds: BARE_SECONDS,
    provider: PROVIDER,
    batch: Number(ready?.['batch_size']),
    intraOpThreads: Number(ready?.['intra_op_threads']),
  };
  const script = new URL('./bare-session.ts', import.meta.url);
  const rates = Array.from({ length: sessions }, () => {
    const worker = new Worker(script, { workerData });
    return new Promise<number>((resolve, reject) => worker.once('message', resolve).once('error', reject));
  });
  return (await Promise.all(rates)).reduce((sum, rate) => sum + rate, 0);
}
