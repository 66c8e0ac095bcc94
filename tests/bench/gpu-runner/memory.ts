/**
 * Whether memory stays: the runner's RSS after 50 mixed requests and after 500 (`MEMORY_REQUESTS`), and after sessions were
 * opened and closed again and again: `npm run bench -- runner-memory`.
 */
import path from 'node:path';
import { SessionPool } from '../../../gpu-runner/sessions/session-pool.ts';
import { variantFor } from '../../../gpu-runner/models/variants.ts';
import { readManifest } from '../../gpu-runner/support/network.ts';
import { startReceiver } from '../../gpu-runner/support/receiver.ts';
import { MODEL_DIR } from '../../gpu-runner/support/runner.ts';
import { PROVIDER, startOnProvider } from './provider.ts';
import { memoryOf, photo, restore } from './support.ts';

const EARLY = 50;
const total = Number(process.env['MEMORY_REQUESTS'] ?? 500);
/** Width, height, from, to: small, so that five hundred end in minutes; each size and format meets every other in time. */
const SIZES = [
  [64, 48, 'png', 'png'],
  [192, 144, 'jpeg', 'jpeg'],
  [128, 96, 'webp', 'webp'],
  [240, 160, 'png', 'jpeg'],
  [100, 75, 'jpeg', 'avif'],
  [320, 200, 'jpeg', 'png'],
  [33, 57, 'avif', 'png'],
] as const;

/** RSS at every fiftieth request. */
const course: number[] = [];
const sessionMemory = await measureSessions();
const receiver = await startReceiver();
for (const [width, height, format] of SIZES) {
  receiver.sources.set(`/${width}.${format}`, await photo(width, height, format));
}
const server = await startOnProvider({ ALLOW_ORIGINS: receiver.origin });
try {
  const idle = await memoryOf(server.pid, 'VmRSS');
  await run(0, EARLY);
  const early = await memoryOf(server.pid, 'VmRSS');
  await run(EARLY, total);
  const late = await memoryOf(server.pid, 'VmRSS');
  console.log(
    JSON.stringify({
      bench: 'gpu-runner/memory',
      provider: PROVIDER,
      requests: total,
      rss_idle_mb: idle,
      [`rss_after_${EARLY}_mb`]: early,
      [`rss_after_${total}_mb`]: late,
      rss_course_mb: course,
      growth_percent: Math.round((1000 * (late - early)) / early) / 10,
      rss_peak_mb: await memoryOf(server.pid, 'VmHWM'),
      ...sessionMemory,
    }),
  );
} finally {
  await server.stop();
  await receiver.close();
}

/** Two at a time, as many as there are slots. */
async function run(from: number, to: number): Promise<void> {
  let next = from;
  const client = async (): Promise<void> => {
    while (next < to) {
      const i = next++;
      const [width, , format, wanted] = SIZES[i % SIZES.length]!;
      if (i % 50 === 0) course.push(await memoryOf(server.pid, 'VmRSS'));
      await restore(server, receiver, `memory-${i}`, `/${width}.${format}`, wanted);
      receiver.uploads.length = 0;
    }
  };
  await Promise.all([client(), client()]);
}

/** This process: before the first session, with one, and with none again, the first and the last time. */
async function measureSessions(): Promise<object> {
  const variant = variantFor(await readManifest(), 'uint8', PROVIDER);
  const load = {
    path: path.join(MODEL_DIR, 'dhnet-edge', variant.file),
    variant,
    provider: PROVIDER,
    intraOpThreads: 1,
    warmUp: { side: 192, batches: [1] },
  };
  const observer = { ran: () => undefined, threadRestarted: () => undefined };
  const log = { info: () => undefined, error: () => undefined };
  const opened: number[] = [];
  const closed: number[] = [];
  const before = await memoryOf(process.pid, 'VmRSS');
  for (let i = 0; i < 8; i++) {
    const options = { name: 'bench', workers: 1, batching: { size: 1, delayMs: 0 }, load, observer, log };
    const pool = await SessionPool.open(options);
    opened.push(await memoryOf(process.pid, 'VmRSS'));
    await pool.close();
    closed.push(await memoryOf(process.pid, 'VmRSS'));
  }
  return {
    session_rss_mb: { before, opened, closed },
  };
}
