/**
 * `npm run bench -- endurance [--pictures 1000] [--data DIR] [--slots 2] [--under-way 400] [--log FILE]`: that many distinct pictures, as predictions
 * with webhooks, through the queue to the runner, which is killed three times while it works; the gateway is killed once.
 * One JSON line; the exit code is 1 when a picture was lost, is wrong, or somebody was told wrongly or not at all.
 */
import { createWriteStream } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { endure, type Death } from '../../support/endurance/run.ts';

const { values } = parseArgs({
  options: {
    pictures: { type: 'string', default: '1000' },
    data: { type: 'string' },
    slots: { type: 'string', default: '2' },
    'under-way': { type: 'string' },
    // The lines of all parts.
    log: { type: 'string' },
  },
});

const DEATHS: readonly Death[] = [
  { of: 'runner', at: 0.15 },
  { of: 'runner', at: 0.35 },
  { of: 'gateway', at: 0.5 },
  { of: 'runner', at: 0.75 },
];

/** More than this for a picture, and minutes for the deaths, is not slow but stuck. */
const SECONDS_PER_PICTURE = 3;
const SECONDS_FOR_DEATHS = 900;

const fromUser = (file: string): string => path.resolve(process.env['INIT_CWD'] ?? '.', file);
const pictures = Number(values.pictures);
const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM']) process.once(name, () => interrupted.abort(new Error(`${name} came`)));
const log = values.log === undefined ? undefined : createWriteStream(fromUser(values.log));

const { findings, ...report } = await endure({
  pictures,
  data: values.data === undefined ? undefined : fromUser(values.data),
  deaths: DEATHS,
  underWay: Number(values['under-way'] ?? Math.ceil(pictures * 0.4)),
  slots: Number(values.slots),
  timeoutSeconds: pictures * SECONDS_PER_PICTURE + SECONDS_FOR_DEATHS,
  signal: interrupted.signal,
  say: (line) => void process.stderr.write(`${line}\n`),
  ...(log ? { log: (line) => void log.write(`${new Date().toISOString()} ${line}\n`) } : {}),
});
for (const finding of findings) process.stderr.write(`${finding}\n`);
console.log(JSON.stringify({ bench: 'endurance', ...report, findings: findings.length }));
process.exitCode = findings.length === 0 ? 0 : 1;
