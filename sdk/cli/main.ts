#!/usr/bin/env node
import packageJson from '../package.json' with { type: 'json' };
import { commandOf, USAGE, UsageError } from './arguments.ts';
import { inputsOf } from './inputs.ts';
import { Journal } from './journal.ts';
import { Report } from './report.ts';
import { restoreAll, backendOf } from './restore.ts';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;

/** @returns the exit code */
async function main(args: readonly string[]): Promise<number> {
  const command = commandOf(args);
  if (command.kind !== 'restore') {
    console.log(command.kind === 'help' ? USAGE : packageJson.version);
    return 0;
  }
  const { settings } = command;
  const journal = new Journal();
  const backend = await backendOf(settings);
  const inputs = await inputsOf(settings, journal);
  const report = new Report(inputs.length, settings.quiet);
  const interrupted = new AbortController();
  // Once: a second signal ends the process as usual.
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupted.abort());
  await restoreAll(inputs, backend, settings, { journal, report, signal: interrupted.signal });
  report.summary();
  if (interrupted.signal.aborted) return EXIT_INTERRUPTED;
  return report.failed > 0 ? EXIT_FAILED : 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`deblur: ${error.message}`);
  process.exitCode = EXIT_USAGE;
}
