/**
 * From a fresh isolate to the first restored tile, measured inside it: loading and checking the model, the session's
 * creation, the first 256×256 tile. Each round starts a new workerd. One JSON line with medians: of the time that has
 * passed for each part, and of the processor time of all. `--rounds n` (default 5).
 */
import { parseArgs } from 'node:util';
import { median, processorMs, round, startBenchWorker } from './support.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '5' } } });
const parts = ['load_ms', 'create_ms', 'first_tile_ms'] as const;
type ColdStart = Readonly<Record<(typeof parts)[number], number>>;

const starts: ColdStart[] = [];
const processor: number[] = [];
for (let i = 0; i < Number(values.rounds); i++) {
  const worker = await startBenchWorker();
  try {
    const before = processorMs(worker.workerdPid);
    starts.push((await (await fetch(`${worker.url}/cold`)).json()) as ColdStart);
    processor.push(processorMs(worker.workerdPid) - before);
  } finally {
    await worker.stop();
  }
}
const medians = Object.fromEntries(parts.map((part) => [part, round(median(starts.map((start) => start[part])))]));
const total = median(starts.map((start) => parts.reduce((sum, part) => sum + start[part], 0)));
const measured = { ...medians, total_ms: round(total), processor_ms: round(median(processor)) };
console.log(JSON.stringify({ bench: 'edge-cold-start', rounds: starts.length, ...measured }));
