/** `npm run fuzz -- --cases 50000 --seed 1`: prints what came out, and ends with 1 when something failed without a code. */
import { parseArgs } from 'node:util';
import { corpus, fuzz } from './fuzz.ts';

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '5000' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    first: { type: 'string', default: '0' },
  },
});
const seed = Number(values.seed);
console.log(`seed ${seed}, ${(await corpus()).length} files, Node ${process.version}`);
const started = process.cpuUsage();
const report = await fuzz(Number(values.cases), seed, Number(values.first));
const { user, system } = process.cpuUsage(started);
console.log(JSON.stringify({ ...report, faults: report.faults.slice(0, 20) }, undefined, 2));
console.log(`${report.faults.length} faults; ${((user + system) / 1e6).toFixed(0)} s of processor time`);
console.log(`largest memory ${Math.round(process.resourceUsage().maxRSS / 1024)} MiB`);
process.exitCode = report.faults.length === 0 ? 0 : 1;
