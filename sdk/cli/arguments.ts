/** The command line's words. */
import { parseArgs } from 'node:util';
import type { RestoreOptions } from '../client/types.ts';

export const USAGE = `Usage: deblur [options] PICTURE …

A PICTURE is a file, a folder (with the folders in it), a quoted glob ("photos/**/*.jpg") or an http(s) address.

  --out FOLDER       where results go; without it beside each picture, as NAME.deblurred.EXT
  --server URL       the service; without it DEBLUR_URL of the environment. DEBLUR_API_KEY holds its key
  --local            restore on this machine, without a service (needs the packages onnxruntime-node and sharp)
  --format FORMAT    jpeg, png, webp or avif; without it the format of each picture
  --quality N        1 to 100, for JPEG, WebP and AVIF
  --metadata MODE    keep or strip
  --model NAME       auto, best, or a model's name
  --scale N          restore at 1/N (1 to 4), or auto
  --strength N       0 to 1: how much of the change is applied
  --jobs N           pictures at once: 4 by default, 1 with --local
  --force            restore again what is finished, and overwrite files that this command did not write
  --quiet            print failures only
  --version, --help

Run again, it skips what is finished. Exit code: 0 when every picture is finished, 1 when any failed, 2 for a wrong
argument, 130 after Ctrl-C.`;

export interface Settings {
  readonly pictures: readonly string[];
  readonly out: string | undefined;
  readonly server: string | undefined;
  readonly local: boolean;
  readonly jobs: number;
  readonly force: boolean;
  readonly quiet: boolean;
  readonly options: RestoreOptions;
}

export type Command = { readonly kind: 'help' | 'version' } | { readonly kind: 'restore'; readonly settings: Settings };

/** What the caller can mend: told without a stack, exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const FORMATS = ['jpeg', 'png', 'webp', 'avif'] as const;
const MODES = ['keep', 'strip'] as const;
const JOBS_DEFAULT = 4;
const JOBS_MAX = 64;

/** @throws {UsageError} */
export function commandOf(args: readonly string[]): Command {
  const { values, positionals } = parsed(args);
  if (values.help) return { kind: 'help' };
  if (values.version) return { kind: 'version' };
  if (positionals.length === 0) throw new UsageError('there is no picture to restore; see deblur --help');
  const { local = false } = values;
  if (local && values.server !== undefined) throw new UsageError('--local and --server exclude each other');
  const jobs = numberOf('jobs', values.jobs, 1, JOBS_MAX, { whole: true });
  const settings = {
    pictures: positionals,
    out: values.out,
    server: values.server,
    local,
    jobs: jobs ?? (local ? 1 : JOBS_DEFAULT),
    force: values.force ?? false,
    quiet: values.quiet ?? false,
    options: optionsOf(values),
  };
  return { kind: 'restore', settings };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        out: { type: 'string', short: 'o' },
        server: { type: 'string' },
        local: { type: 'boolean' },
        format: { type: 'string' },
        quality: { type: 'string' },
        metadata: { type: 'string' },
        model: { type: 'string' },
        scale: { type: 'string' },
        strength: { type: 'string' },
        jobs: { type: 'string', short: 'j' },
        force: { type: 'boolean' },
        quiet: { type: 'boolean', short: 'q' },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

type Values = ReturnType<typeof parsed>['values'];

function optionsOf(values: Values): RestoreOptions {
  const { model } = values;
  const format = oneOf('format', values.format?.toLowerCase().replace(/^jpg$/, 'jpeg'), FORMATS);
  const quality = numberOf('quality', values.quality, 1, 100, { whole: true });
  const metadata = oneOf('metadata', values.metadata, MODES);
  const scale = values.scale === 'auto' ? 'auto' : numberOf('scale', values.scale, 1, 4, { whole: true });
  const strength = numberOf('strength', values.strength, 0, 1);
  return {
    ...(model === undefined ? {} : { model }),
    ...(format === undefined ? {} : { format }),
    ...(quality === undefined ? {} : { quality }),
    ...(metadata === undefined ? {} : { metadata }),
    ...(scale === undefined ? {} : { workingScale: scale as 'auto' | 1 | 2 | 3 | 4 }),
    ...(strength === undefined ? {} : { strength }),
  };
}

function oneOf<Word extends string>(name: string, value: string | undefined, words: readonly Word[]): Word | undefined {
  const word = words.find((candidate) => candidate === value);
  if (value === undefined || word !== undefined) return word;
  throw new UsageError(`--${name} must be ${words.join(', ')}, not "${value}"`);
}

function numberOf(
  name: string,
  value: string | undefined,
  least: number,
  most: number,
  { whole = false } = {},
): number | undefined {
  if (value === undefined) return undefined;
  const number = value.trim() === '' ? NaN : Number(value);
  if (number >= least && number <= most && (!whole || Number.isInteger(number))) return number;
  throw new UsageError(`--${name} must be a ${whole ? 'whole ' : ''}number from ${least} to ${most}, not "${value}"`);
}
