/** Words of the command line → the pictures that they name, and where the result of each goes. */
import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { glob, isDynamicPattern } from 'tinyglobby';
import { UsageError, type Settings } from './arguments.ts';
import type { Journal } from './journal.ts';

export interface Input {
  /** As it is shown. */
  readonly name: string;
  readonly source:
    { readonly kind: 'file'; readonly path: string } | { readonly kind: 'address'; readonly address: string };
  /** Where the result goes. */
  readonly output: string;
}

/** What the service reads and folders are searched for; and of these what results are written in. */
const PICTURE = /\.(jpe?g|png|webp|avif|tiff?|hei[cf])$/i;
const WRITABLE = /\.(jpe?g|png|webp|avif)$/i;
const ADDRESS = /^https?:\/\//i;
type Found = Pick<Input, 'name' | 'source'> & {
  /** Below the folder for results: the file's name, with its folders below the folder that was named. */
  readonly below: string;
  /** Where a result goes without --out. */
  readonly beside: string;
};

/** @throws {UsageError} for a word that names nothing, and where two results would be one file */
export async function inputsOf(settings: Settings, journal: Journal): Promise<readonly Input[]> {
  const found = (await Promise.all(settings.pictures.map((word) => foundBy(word, settings, journal)))).flat();
  const inputs = new Map<string, Input>();
  const taken = new Map<string, string>();
  for (const { name, source, below, beside } of found) {
    if (inputs.has(name)) continue;
    const output = path.normalize(outputOf(below, beside, settings));
    const same = taken.get(output.toLowerCase());
    if (same !== undefined) throw new UsageError(`${same} and ${name} would both be written to ${output}`);
    taken.set(output.toLowerCase(), name);
    inputs.set(name, { name, source, output });
  }
  return [...inputs.values()];
}

async function foundBy(word: string, { options }: Settings, journal: Journal): Promise<readonly Found[]> {
  if (ADDRESS.test(word)) return [addressed(word, options.format)];
  const stats = await stat(word).catch(() => undefined);
  if (stats?.isDirectory()) {
    const files = await unwritten(await filesIn(word), journal);
    if (files.length === 0) throw new UsageError(`${word} holds no picture`);
    return files.map((file) => fileAt(file, path.relative(word, file)));
  }
  // Also one that is missing: its failure has its line like any other's.
  if (stats !== undefined || !isDynamicPattern(word)) return [fileAt(word, path.basename(word))];
  const matches = await glob(word.replaceAll('\\', '/'), { expandDirectories: false });
  const files = await unwritten(matches.map(path.normalize), journal);
  if (files.length === 0) throw new UsageError(`${word} matches no picture`);
  return files.map((file) => fileAt(file, path.basename(file)));
}

const fileAt = (file: string, below: string): Found => ({
  name: file,
  source: { kind: 'file', path: file },
  below,
  beside: file,
});

/** What this command wrote into a folder is no picture to be restored. */
async function unwritten(files: readonly string[], journal: Journal): Promise<readonly string[]> {
  const written = await Promise.all(files.map((file) => journal.hasWritten(file)));
  return files.filter((_, i) => !written[i]).sort();
}

/** The pictures in a folder and the folders in it, without those that are hidden. */
async function filesIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && PICTURE.test(entry.name))
    .map((entry) => path.join(folderOf(entry), entry.name))
    .filter(
      (file) =>
        !path
          .relative(folder, file)
          .split(path.sep)
          .some((part) => part.startsWith('.')),
    );
}

/** Node 20 before 20.12 has it under another name only. */
const folderOf = (entry: Dirent): string => entry.parentPath ?? (entry as unknown as { readonly path: string }).path;

function addressed(address: string, format: string | undefined): Found {
  if (!URL.canParse(address)) throw new UsageError(`${address} is no address`);
  const last = decodeURIComponent(new URL(address).pathname.split('/').at(-1) ?? '');
  const name = last.replace(/[^\p{L}\p{N}._-]/gu, '_').replace(/^\.+/, '');
  if (!PICTURE.test(name) && format === undefined) {
    throw new UsageError(`${address} does not end in the name of a picture: say its --format`);
  }
  const below = name === '' ? 'picture' : name;
  return { name: address, source: { kind: 'address', address }, below, beside: below };
}

function outputOf(below: string, beside: string, { out, options }: Settings): string {
  const given = path.extname(below);
  const extension = extensionOf(given, options.format);
  const stem = PICTURE.test(below) ? given.length : 0;
  const without = (name: string): string => (stem === 0 ? name : name.slice(0, -stem));
  return out === undefined ? `${without(beside)}.deblurred${extension}` : path.join(out, without(below) + extension);
}

/** A picture keeps its extension where that tells the format of its result. */
function extensionOf(given: string, format: string | undefined): string {
  if (format === undefined || format === 'auto') {
    if (WRITABLE.test(given)) return given;
    return /^\.hei[cf]$/i.test(given) ? '.jpg' : '.png';
  }
  if (format === 'jpeg') return /^\.jpe?g$/i.test(given) ? given : '.jpg';
  return `.${format}`;
}
