/**
 * What the runner adds to its network: `node tests/bench/gpu-runner/overhead.ts` prints one JSON line.
 *
 * A 2 MP and a 256×256 PNG as the gateway asks for them: source fetched, master (which is the result) uploaded. There is one
 * session, so that the sum of its session.run times is time on the clock: `overhead_ratio` is the request's time over that
 * sum, `overhead_ms` what is left of the request without that sum, decoding and encoding. A process that has just started is
 * still compiling its JavaScript: the figures are those of the requests after the `settling` ones, and
 * `overhead_ms_at_first` is that of the first of all, where there are enough.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { RUNNER_ENV } from '../../../scripts/lib/service.ts';
import { startReceiver, type Receiver } from '../../gpu-runner/support/receiver.ts';
import { until, type RunningServer } from '../../gpu-runner/support/runner.ts';
import { startOnProvider } from './provider.ts';
import { median, photo, restore, round } from './support.ts';

const SIZES = [
  { name: '2mp', width: 1632, height: 1224, settling: 1, requests: 5 },
  { name: '256', width: 256, height: 256, settling: 80, requests: 30 },
] as const;
const FIRST = 15;
const probe = pathToFileURL(path.join(import.meta.dirname, 'event-loop-probe.ts')).href;

const receiver = await startReceiver();
const server = await startOnProvider({
  ALLOW_ORIGINS: receiver.origin,
  SESSION_WORKERS: '1',
  INTRA_OP_THREADS: '1',
  NODE_OPTIONS: `${RUNNER_ENV.NODE_OPTIONS} --import ${probe}`,
});
try {
  const overhead: Record<string, object> = {};
  for (const size of SIZES) overhead[size.name] = await measureOverhead(size);
  const responsiveness = await measureResponsiveness(server, receiver);
  const { execution_provider, models } = (await server.health()).setup;
  console.log(
    JSON.stringify({
      bench: 'gpu-runner/overhead',
      provider: execution_provider?.used,
      models,
      ...overhead,
      ...responsiveness,
    }),
  );
} finally {
  await server.stop();
  await receiver.close();
}

interface Times {
  readonly wall: number;
  readonly infer: number;
  readonly codec: number;
  readonly rest: number;
}

async function measureOverhead({ name, width, height, settling, requests }: (typeof SIZES)[number]): Promise<object> {
  const source = `/${name}.png`;
  receiver.sources.set(source, await photo(width, height, 'png'));
  const all: Times[] = [];
  for (let i = 0; i < settling + requests; i++) {
    const start = performance.now();
    const { metrics } = await restore(server, receiver, `overhead-${name}-${i}`, source, 'png');
    const wall = performance.now() - start;
    const infer = metrics.inferMs ?? 0;
    const codec = (metrics.decodeMs ?? 0) + (metrics.encodeMs ?? 0);
    all.push({ wall, infer, codec, rest: wall - infer - codec });
  }
  const runs = all.slice(settling);
  const middle = (field: keyof Times): number => round(median(runs.map((run) => run[field])));
  return {
    requests,
    request_ms: middle('wall'),
    infer_ms: middle('infer'),
    codec_ms: middle('codec'),
    overhead_ms: middle('rest'),
    ...(settling < FIRST ? {} : { overhead_ms_at_first: round(median(all.slice(0, FIRST).map(({ rest }) => rest))) }),
    overhead_ratio: round(median(runs.map(({ wall, infer }) => wall / infer))),
    overhead_ratio_without_codec: round(median(runs.map(({ wall, infer, codec }) => (wall - codec) / infer))),
  };
}

/** While the tiles of a 12 MP picture run: how late the server's event loop is, and how long a health check takes. */
async function measureResponsiveness({ pid, url, lines }: RunningServer, { sources }: Receiver): Promise<object> {
  sources.set('/12mp.jpg', await photo(4000, 3000, 'jpeg'));
  process.kill(pid, 'SIGUSR2');
  const times: number[] = [];
  let over = false;
  const prediction = restore(server, receiver, '12mp', '/12mp.jpg').finally(() => (over = true));
  while (!over) {
    const start = performance.now();
    const response = await fetch(`${url}/health-check`);
    await response.arrayBuffer();
    if (response.status !== 200) throw new Error(`health check: ${response.status}`);
    times.push(performance.now() - start);
    await sleep(10);
  }
  await prediction;
  process.kill(pid, 'SIGUSR2');
  await until(() => lines.some(({ event }) => event === 'event_loop_delay'));
  const delay = lines.find(({ event }) => event === 'event_loop_delay')!;
  times.sort((a, b) => a - b);
  return {
    health_checks: times.length,
    health_check_p50_ms: round(median(times)),
    health_check_p99_ms: round(times[Math.floor(times.length * 0.99)] ?? 0),
    event_loop_delay_p99_ms: round(Number(delay['p99'])),
    event_loop_delay_max_ms: round(Number(delay['max'])),
  };
}
