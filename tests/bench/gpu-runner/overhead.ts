/**
 * What the runner adds to its network: `node tests/bench/gpu-runner/overhead.ts` prints one JSON line.
 *
 * `overhead_ratio`: wall time of a 1280×720 request, as the gateway makes it (source fetched, master and result
 * uploaded), over the sum of its session.run times. Sessions run side by side, so that sum may exceed the wall time;
 * `overhead_ratio_per_session` is the wall time over the sum's share of one session: 1 is a runner that adds nothing.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import sharp from 'sharp';
import { startReceiver, type Receiver } from '../../gpu-runner/support/receiver.ts';
import { startServer, until, type Answer, type RunningServer } from '../../gpu-runner/support/runner.ts';

const REQUESTS = 5;
const probe = pathToFileURL(path.join(import.meta.dirname, 'event-loop-probe.ts')).href;
const blurred = await readFile(path.resolve(import.meta.dirname, '../../fixtures/reds/blur.png'));

const receiver = await startReceiver();
const server = await startServer({ ALLOW_ORIGINS: receiver.origin, NODE_OPTIONS: `--import ${probe}` });
try {
  const overhead = await measureOverhead(server, receiver);
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

async function restore(id: string, source: string): Promise<Answer['body']> {
  const { body } = await server.call('PUT', `/predictions/${id}`, {
    input: {
      image: receiver.origin + source,
      format: 'jpeg',
      master_upload_url: `${receiver.origin}/master`,
      result_upload_url: `${receiver.origin}/result`,
    },
  });
  if (body.status !== 'succeeded') throw new Error(String(body.error));
  return body;
}

async function measureOverhead({ lines }: RunningServer, { sources }: Receiver): Promise<object> {
  sources.set('/blur.png', blurred);
  await restore('warm-up', '/blur.png');
  const runs: { wallMs: number; inferMs: number }[] = [];
  for (let i = 0; i < REQUESTS; i++) {
    const start = performance.now();
    const { metrics } = await restore(`overhead-${i}`, '/blur.png');
    runs.push({ wallMs: performance.now() - start, inferMs: metrics.inferMs ?? 0 });
  }
  const sessions = Number(lines.find(({ event }) => event === 'ready')?.['sessions']);
  const ratio = median(runs.map(({ wallMs, inferMs }) => wallMs / inferMs));
  return {
    requests: REQUESTS,
    sessions,
    request_ms: round(median(runs.map(({ wallMs }) => wallMs))),
    infer_ms: round(median(runs.map(({ inferMs }) => inferMs))),
    overhead_ratio: round(ratio),
    overhead_ratio_per_session: round(ratio * sessions),
  };
}

/** While the tiles of a 12 MP picture run: how late the server's event loop is, and how long a health check takes. */
async function measureResponsiveness({ pid, url, lines }: RunningServer, { sources }: Receiver): Promise<object> {
  const enlarged = sharp(blurred).resize(4000, 3000, { fit: 'fill' }).withMetadata({ orientation: 6 });
  sources.set('/12mp.jpg', await enlarged.jpeg({ quality: 90 }).toBuffer());
  process.kill(pid, 'SIGUSR2');
  const times: number[] = [];
  let over = false;
  const prediction = restore('12mp', '/12mp.jpg').finally(() => (over = true));
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

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
