/**
 * What one model costs: seconds and processor seconds of a tile, and memory, with the sessions' own threads:
 * `MODEL_DIR=… npm run bench -- runner-model`. The runner's best model is measured, one session on all cores, MODEL_TILES
 * tiles (default 4) after the one that warms it up; EXECUTION_PROVIDER counts.
 */
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { startReceiver } from '../../gpu-runner/support/receiver.ts';
import { startOnProvider } from './provider.ts';
import { memoryOf, photo, restore, round } from './support.ts';

const wanted = Number(process.env['MODEL_TILES'] ?? 4);
/** Of /proc: fields 14 and 15 count in hundredths of a second on Linux. */
const TICKS_PER_SECOND = 100;

const receiver = await startReceiver();
const started = performance.now();
const server = await startOnProvider({
  ALLOW_ORIGINS: receiver.origin,
  SESSION_WORKERS: '1',
  INTRA_OP_THREADS: String(availableParallelism()),
});
try {
  const setupSeconds = (performance.now() - started) / 1000;
  const { setup } = await server.health();
  const [model] = setup.models;
  if (model === undefined) throw new Error(`the runner did not start: ${setup.logs}`);
  const loaded = await usage();
  const peakAfterSetup = await memoryOf(server.pid, 'VmHWM');
  // Side by side, each tile overlaps the next one by 32 pixels.
  const width = model.tile + (wanted - 1) * (model.tile - 32);
  receiver.sources.set('/model.png', await photo(width, model.tile, 'png'));
  const { metrics } = await restore(server, receiver, 'model', '/model.png', 'png');
  const used = await usage();
  const tiles = metrics.tiles ?? 0;
  console.log(
    JSON.stringify({
      bench: 'gpu-runner/model',
      provider: setup.execution_provider?.used,
      model: model.name,
      tile: model.tile,
      tiles,
      seconds_per_tile: round((metrics.inferMs ?? 0) / 1000 / tiles),
      cpu_seconds_per_tile: round((used.user - loaded.user) / tiles),
      system_seconds_per_tile: round((used.system - loaded.system) / tiles),
      setup_seconds: round(setupSeconds),
      setup_cpu_seconds: round(loaded.user),
      rss_mb: await memoryOf(server.pid, 'VmRSS'),
      rss_peak_setup_mb: peakAfterSetup,
      rss_peak_mb: await memoryOf(server.pid, 'VmHWM'),
    }),
  );
} finally {
  await server.stop();
  await receiver.close();
}

/** Processor seconds of the runner so far. */
async function usage(): Promise<{ readonly user: number; readonly system: number }> {
  const stat = await readFile(`/proc/${server.pid}/stat`, 'utf8');
  // The name before may hold anything but ends at the last parenthesis; field 3 follows it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [user, system] = [fields[11], fields[12]].map((ticks) => Number(ticks) / TICKS_PER_SECOND);
  return { user: user ?? 0, system: system ?? 0 };
}
