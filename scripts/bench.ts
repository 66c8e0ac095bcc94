// npm run bench [-- name …] [--option value …]: every figure that the documents state about speed, size and memory, one JSON line each.
// Figures are measured while nothing else runs; ratios come from one run, so that a slow machine changes them little.
import { spawnSync } from 'node:child_process';
import { build } from './lib/build.ts';
import { root } from './lib/service.ts';

const benches: Readonly<Record<string, string>> = {
  'edge-tile': 'tests/bench/edge/tile.ts',
  'edge-memory': 'tests/bench/edge/memory.ts',
  'edge-cold-start': 'tests/bench/edge/cold-start.ts',
  'edge-bundle': 'tests/bench/edge/bundle.ts',
  'runner-overhead': 'tests/bench/gpu-runner/overhead.ts',
  'runner-throughput': 'tests/bench/gpu-runner/throughput.ts',
  'runner-batch': 'tests/bench/gpu-runner/batch.ts',
  'runner-tiles': 'tests/bench/gpu-runner/tiles.ts',
  'runner-memory': 'tests/bench/gpu-runner/memory.ts',
  'runner-cancel': 'tests/bench/gpu-runner/cancel.ts',
  'runner-tiled': 'tests/bench/gpu-runner/tiled.ts',
  'runner-large': 'tests/bench/gpu-runner/large.ts',
  'runner-model': 'tests/bench/gpu-runner/model.ts',
  'service-latency': 'tests/bench/service/latency.ts',
  'gateway-time': 'tests/bench/service/gateway-time.ts',
  endurance: 'tests/bench/service/endurance.ts',
  'first-picture': 'tests/bench/service/first-picture.ts',
};

const given = process.argv.slice(2);
const firstOption = given.findIndex((argument) => argument.startsWith('-'));
const asked = firstOption < 0 ? given : given.slice(0, firstOption);
/** For the benches themselves. */
const options = given.slice(asked.length);
const unknown = asked.filter((name) => !(name in benches));
if (unknown.length > 0) {
  process.stderr.write(`no such bench: ${unknown.join(', ')}; there are: ${Object.keys(benches).join(', ')}\n`);
  process.exit(1);
}

build();
let failed = false;
for (const name of asked.length > 0 ? asked : Object.keys(benches)) {
  process.stderr.write(`── ${name}\n`);
  const { status } = spawnSync(process.execPath, [benches[name] ?? '', ...options], { cwd: root, stdio: 'inherit' });
  failed ||= status !== 0;
}
process.exitCode = failed ? 1 : 0;
