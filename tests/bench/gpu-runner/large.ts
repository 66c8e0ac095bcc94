/**
 * The runner's memory while it restores the largest picture that it takes: `npm run bench -- runner-large`.
 * LARGE_MEGAPIXELS (default 50) makes it smaller for a slow machine.
 */
import { startReceiver } from '../../gpu-runner/support/receiver.ts';
import { startServer } from '../../gpu-runner/support/runner.ts';
import { memoryOf, photo, restore } from './support.ts';

const megapixels = Number(process.env['LARGE_MEGAPIXELS'] ?? 50);
const height = Math.floor(Math.sqrt((megapixels * 1e6 * 2) / 3));
const width = Math.floor((height * 3) / 2);

const receiver = await startReceiver();
receiver.sources.set('/large.jpg', await photo(width, height, 'jpeg'));
const server = await startServer({ ALLOW_ORIGINS: receiver.origin, EXECUTION_PROVIDER: 'cpu' });
try {
  const idle = await memoryOf(server.pid, 'VmRSS');
  const { metrics } = await restore(server, receiver, 'large', '/large.jpg');
  const peak = await memoryOf(server.pid, 'VmHWM');
  console.log(
    JSON.stringify({
      bench: 'gpu-runner/large',
      width,
      height,
      tiles: metrics.tiles,
      seconds: metrics.predict_time,
      master_mb: Math.round((receiver.uploads.find((upload) => upload.path === '/master')?.bytes.length ?? 0) / 1e6),
      rss_idle_mb: idle,
      rss_peak_mb: peak,
    }),
  );
} finally {
  await server.stop();
  await receiver.close();
}
