/** All pictures of one command, some of them at once. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { Deblur, DeblurError, type Progress } from '../client/index.ts';
import { sleep } from '../client/transport.ts';
import type { PredictionMetrics } from '../client/types.ts';
import type * as LocalEntry from '../local/index.ts';
import { UsageError, type Settings } from './arguments.ts';
import type { Input } from './inputs.ts';
import { sha256Of, type Journal } from './journal.ts';
import type { Report } from './report.ts';

interface Restored {
  readonly bytes: Uint8Array;
  readonly metrics: PredictionMetrics;
}

interface Following {
  readonly signal: AbortSignal;
  readonly onProgress: (progress: Progress) => void;
}

/** A service, or this machine. */
export interface Backend {
  /** Goes into the journal, since another backend may give other results. */
  readonly name: string;
  restore(picture: Uint8Array<ArrayBuffer> | string, following: Following): Promise<Restored>;
}

/** Failures that the next picture would meet as well. */
const FATAL = ['connection_failed', 'unauthorized', 'forbidden', 'unexpected_response'];

/** How long one picture waits for its turn, as far as the service says how long that takes. */
const PATIENCE_SECONDS = 900;

/** @throws {UsageError} when the backend is not there */
export async function backendOf({ local, server, options }: Settings): Promise<Backend> {
  if (!local) {
    const client = clientOf(server);
    return {
      name: server ?? process.env['DEBLUR_URL'] ?? '',
      restore: (picture, following) => client.deblur(picture, { ...options, ...following }),
    };
  }
  const { deblurLocally } = await importLocal();
  return {
    name: 'local',
    restore(picture, following) {
      if (typeof picture !== 'string') return deblurLocally(picture, { ...options, ...following });
      throw new DeblurError('invalid_option', 'an address needs a service: give --server instead of --local');
    },
  };
}

function clientOf(server: string | undefined): Deblur {
  try {
    return new Deblur(server === undefined ? {} : { server });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const hint = server === undefined ? 'give --server URL, set DEBLUR_URL, or use --local' : error.message;
    throw new UsageError(hint);
  }
}

async function importLocal(): Promise<typeof LocalEntry> {
  try {
    return await import('../local/index.ts');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new UsageError('--local needs two more packages: npm install onnxruntime-node sharp');
  }
}

export interface Surroundings {
  readonly journal: Journal;
  readonly report: Report;
  readonly signal: AbortSignal;
}

/** Restores every input. Resolves when nothing runs any more, at once after the signal. */
export async function restoreAll(
  inputs: readonly Input[],
  backend: Backend,
  { jobs, force, options }: Settings,
  { journal, report, signal }: Surroundings,
): Promise<void> {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const optionsText = JSON.stringify({ backend: backend.name, ...options });
  const queue = [...inputs];
  const work = async (): Promise<void> => {
    for (let input = queue.shift(); input !== undefined && !either.aborted; input = queue.shift()) {
      try {
        await restoreOne(input, { backend, journal, force, optionsText, report, signal: either });
      } catch (error) {
        if (either.aborted) report.dropped(input.name);
        else report.failure(input.name, reasonOf(error));
        if (error instanceof DeblurError && FATAL.includes(error.code)) stop.abort(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(jobs, inputs.length) }, work));
}

interface Work extends Surroundings {
  readonly backend: Backend;
  readonly force: boolean;
  readonly optionsText: string;
}

async function restoreOne(input: Input, work: Work): Promise<void> {
  const { journal, force, optionsText, report } = work;
  const { name, source, output } = input;
  report.running(name, '…');
  const picture = source.kind === 'file' ? new Uint8Array(await readFile(source.path)) : source.address;
  const sourceName = typeof picture === 'string' ? picture : sha256Of(picture);
  if (source.kind === 'file' && path.resolve(source.path) === path.resolve(output)) {
    throw new Error('its result would overwrite it; give another --out');
  }
  if (!force) {
    const state = await journal.stateOf(output, sourceName, optionsText);
    if (state === 'finished') return report.skipped(name);
    if (state === 'foreign') {
      throw new Error(`${output} exists and was not written by this command; --force overwrites it`);
    }
  }
  const { bytes, metrics } = await patiently(picture, name, work);
  await journal.finish(output, bytes, sourceName, optionsText);
  report.finished(name, `${name} → ${output} (${factsOf(metrics)})`);
}

/** A service that is busy, or an allowance that is used up, is waited for as long as the service says. */
async function patiently(picture: Uint8Array<ArrayBuffer> | string, name: string, work: Work): Promise<Restored> {
  const { backend, report, signal } = work;
  const onProgress = ({ done, total }: Progress): void => report.running(name, `${done}/${total} tiles`);
  let left = PATIENCE_SECONDS;
  for (;;) {
    try {
      return await backend.restore(picture, { signal, onProgress });
    } catch (error) {
      const seconds = error instanceof DeblurError ? (error.retryAfterSeconds ?? Infinity) : Infinity;
      left -= Math.max(1, seconds);
      if (left < 0) throw error;
      report.running(name, `waits ${seconds} s`);
      await sleep(seconds * 1000, signal);
    }
  }
}

function factsOf({ megapixels, total_time, predict_time, placement, outcome }: PredictionMetrics): string {
  const seconds = total_time ?? predict_time;
  return [
    megapixels === undefined ? undefined : `${megapixels.toFixed(2)} MP`,
    seconds === undefined ? undefined : `${seconds.toFixed(1)} s`,
    placement,
    outcome === 'restored' ? undefined : outcome,
  ]
    .filter((fact) => fact !== undefined)
    .join(', ');
}

function reasonOf(error: unknown): string {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (typeof syscall === 'string') return code === 'ENOENT' ? 'no such file' : `${syscall} failed: ${code}`;
  return error instanceof Error ? error.message : String(error);
}
