/** Loaded into the server by NODE_OPTIONS=--import: SIGUSR2 begins a measurement of its event loop, the next one tells it. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

if (isMainThread) {
  const resolutionMs = 1;
  const histogram = monitorEventLoopDelay({ resolution: resolutionMs });
  let measuring = false;
  process.on('SIGUSR2', () => {
    measuring = !measuring;
    if (measuring) {
      histogram.reset();
      histogram.enable();
      return;
    }
    histogram.disable();
    const ms = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - resolutionMs);
    const [p50, p99, max] = [histogram.percentile(50), histogram.percentile(99), histogram.max].map(ms);
    process.stdout.write(`${JSON.stringify({ event: 'event_loop_delay', p50, p99, max })}\n`);
  });
}
