/**
 * The runner's memory while it restores the largest picture that it takes, with the real network: `npm run bench --
 * runner-large`, one line each for JPEG and PNG in and out. LARGE_MEGAPIXELS (default 50) makes it smaller, LARGE_FORMATS
 * (default `jpeg,png`) fewer. Each has a server of its own, so that its peak is its own.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { startReceiver, type Receiver } from '../../gpu-runner/support/receiver.ts';
import type { RunningServer } from '../../gpu-runner/support/runner.ts';
import { PROVIDER, startOnProvider } from './provider.ts';
import { memoryOf, grainyPhoto, uploadedTo } from './support.ts';

type Format = 'jpeg' | 'png';

const POLL_MS = 2000;
const megapixels = Number(process.env['LARGE_MEGAPIXELS'] ?? 50);
const formats = (process.env['LARGE_FORMATS'] ?? 'jpeg,png').split(',') as Format[];
const height = Math.floor(Math.sqrt((megapixels * 1e6 * 3) / 4));
const width = Math.floor((height * 4) / 3);

const receiver = await startReceiver();
for (const format of formats) await measure(format);
await receiver.close();

async function measure(format: Format): Promise<void> {
  receiver.sources.set('/large', await grainyPhoto(width, height, format));
  const server = await startOnProvider({
    ALLOW_ORIGINS: receiver.origin,
    // The machine may be busy with other work; memory is what is measured.
    TIMEOUT_SECONDS: '7200',
  });
  try {
    const idle = await memoryOf(server.pid, 'VmRSS');
    const { metrics } = await restoreSlowly(server, receiver, format);
    const sizeOf = (path: string): number => receiver.uploads.find((each) => each.path === path)?.bytes.length ?? 0;
    console.log(
      JSON.stringify({
        bench: 'gpu-runner/large',
        provider: PROVIDER,
        format,
        width,
        height,
        tiles: metrics.tiles,
        seconds: metrics.predict_time,
        infer_seconds: Math.round((metrics.inferMs ?? 0) / 1000),
        source_mb: Math.round((receiver.sources.get('/large')?.length ?? 0) / 1e6),
        master_mb: Math.round(sizeOf('/master') / 1e6),
        result_mb: Math.round(sizeOf('/result') / 1e6),
        rss_idle_mb: idle,
        rss_peak_mb: await memoryOf(server.pid, 'VmHWM'),
        rss_after_mb: await memoryOf(server.pid, 'VmRSS'),
      }),
    );
  } finally {
    await server.stop();
    receiver.uploads.length = 0;
  }
}

/** Asked after rather than waited for: on few cores it takes longer than a client waits for an answer's head. */
async function restoreSlowly(server: RunningServer, { origin }: Receiver, format: Format) {
  const input = uploadedTo(origin, '/large', format);
  await server.call('PUT', '/predictions/large', { input }, { headers: { prefer: 'respond-async' } });
  for (;;) {
    const { body } = await server.call('GET', '/predictions/large');
    if (body.status === 'succeeded') return body;
    if (body.completed_at !== null) throw new Error(String(body.error));
    await sleep(POLL_MS);
  }
}
