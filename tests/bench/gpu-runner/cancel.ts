/**
 * How soon a cancel takes effect: `npm run bench -- runner-cancel`. A large picture is cancelled in the middle, again and
 * again: tiles of it that ended after the cancel was sent (one session: the one in the network, and one more where the cancel
 * met the moment between two), and the time from there to its end, over that of one tile.
 */
import { startReceiver } from '../../gpu-runner/support/receiver.ts';
import { until } from '../../gpu-runner/support/runner.ts';
import { PROVIDER, startOnProvider } from './provider.ts';
import { median, photo, round, uploadedTo } from './support.ts';

interface CancelledRound {
  readonly tiles: number;
  readonly ms: number;
  readonly perTile: number;
}

const ROUNDS = Number(process.env['CANCEL_ROUNDS'] ?? 10);
const receiver = await startReceiver();
receiver.sources.set('/large.jpg', await photo(2000, 1500, 'jpeg'));
const server = await startOnProvider({ ALLOW_ORIGINS: receiver.origin, SESSION_WORKERS: '1' });
const input = uploadedTo(receiver.origin, '/large.jpg', 'jpeg');
try {
  const rounds: CancelledRound[] = [];
  for (let i = 0; i < ROUNDS; i++) rounds.push(await cancelOne(`/predictions/cancel-${i}`));
  console.log(
    JSON.stringify({
      bench: 'gpu-runner/cancel',
      provider: PROVIDER,
      rounds: ROUNDS,
      tiles_after_cancel_max: Math.max(...rounds.map(({ tiles }) => tiles)),
      cancel_ms: round(median(rounds.map(({ ms }) => ms))),
      cancel_over_tile: round(median(rounds.map(({ ms, perTile }) => ms / perTile))),
    }),
  );
} finally {
  await server.stop();
  await receiver.close();
}

async function cancelOne(route: string): Promise<CancelledRound> {
  await server.call('PUT', route, { input }, { headers: { prefer: 'respond-async' } });
  const view = async () => (await server.call('GET', route)).body;
  await until(async () => ((await view()).progress?.done ?? 0) >= 2);
  const before = await tilesRun();
  const start = performance.now();
  const { progress } = (await server.call('POST', `${route}/cancel`)).body;
  await until(async () => (await view()).completed_at !== null);
  const ms = performance.now() - start;
  const { metrics, status } = await view();
  if (status !== 'canceled' || progress === null) throw new Error(`${route}: ${status}`);
  return {
    tiles: (await tilesRun()) - before,
    ms,
    perTile: (1000 * (metrics.predict_time ?? 0)) / (progress.done + 1),
  };
}

async function tilesRun(): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return Number(/^deblur_runner_tiles_total\{.*\} (\d+)$/m.exec(text)?.[1]);
}
