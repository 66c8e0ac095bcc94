/**
 * From a fresh isolate to the first restored tile, measured inside it: loading and checking the model, ONNX Runtime's
 * initialisation with the session's creation, the first 256×256 tile. Each round starts a new workerd. One JSON line with
 * medians. `--rounds n` (default 5).
 */
import { parseArgs } from 'node:util';
import { median, round, startBenchWorker } from './support.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '5' } } });
const parts = ['load_ms', 'create_ms', 'first_tile_ms'] as const;
type ColdStart = Readonly<Record<(typeof parts)[number], number>>;

const starts: ColdStart[] = [];
for (let i = 0; i < Number(values.rounds); i++) {
  const worker = await startBenchWorker();
  try {
    starts.push((await (await fetch(`${worker.url}/cold`)).json()) as ColdStart);
  } finally {
    await worker.stop();
  }
}
const medians = Object.fromEntries(parts.map((part) => [part, round(median(starts.map((start) => start[part])))]));
const total = median(starts.map((start) => parts.reduce((sum, part) => sum + start[part], 0)));
console.log(JSON.stringify({ bench: 'edge-cold-start', rounds: starts.length, ...medians, total_ms: round(total) }));
