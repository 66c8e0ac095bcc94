/**
 * What this command finished in a folder, one line of JSON each. A picture is skipped only if the same source was restored
 * with the same options and its result still has the bytes that were written.
 */
import { createHash } from 'node:crypto';
import { appendFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

const NAME = '.deblur-done.jsonl';

interface Entry {
  /** Within the folder. */
  readonly output: string;
  /** SHA-256 of a file, or an address. */
  readonly source: string;
  readonly options: string;
  readonly sha256: string;
}

export type ResultState = 'absent' | 'finished' | 'outdated' | 'foreign';

export class Journal {
  readonly #folders = new Map<string, Promise<Map<string, Entry>>>();

  /**
   * @param source SHA-256 of the picture, or its address
   * @returns `finished`: nothing to do; `outdated`: this command wrote it from another source or with other options;
   *   `foreign`: this command did not write it
   */
  async stateOf(output: string, source: string, options: string): Promise<ResultState> {
    const bytes = await readFile(output).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (bytes === undefined) return 'absent';
    const entry = (await this.#entries(path.dirname(output))).get(path.basename(output));
    if (entry === undefined || entry.sha256 !== sha256Of(bytes)) return 'foreign';
    return entry.source === source && entry.options === options ? 'finished' : 'outdated';
  }

  /** Whether a file of this name was written into its folder by this command. */
  async hasWritten(file: string): Promise<boolean> {
    return (await this.#entries(path.dirname(file))).has(path.basename(file));
  }

  /**
   * Writes a result and its entry. The entry comes first and the file appears in one step: after a crash in between, the
   * picture is restored again.
   */
  async finish(output: string, bytes: Uint8Array, source: string, options: string): Promise<void> {
    const folder = path.dirname(output);
    await mkdir(folder, { recursive: true });
    const entries = await this.#entries(folder);
    const entry = { output: path.basename(output), source, options, sha256: sha256Of(bytes) };
    const partial = `${output}.${process.pid}.partial`;
    try {
      await writeFile(partial, bytes);
      await appendFile(path.join(folder, NAME), `${JSON.stringify(entry)}\n`);
      await rename(partial, output);
    } catch (error) {
      await rm(partial, { force: true });
      throw error;
    }
    entries.set(entry.output, entry);
  }

  #entries(folder: string): Promise<Map<string, Entry>> {
    let entries = this.#folders.get(folder);
    if (entries === undefined) {
      entries = readEntries(path.join(folder, NAME));
      this.#folders.set(folder, entries);
    }
    return entries;
  }
}

export const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

async function readEntries(file: string): Promise<Map<string, Entry>> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const entries = new Map<string, Entry>();
  for (const line of text.split('\n')) {
    const entry = entryOf(line);
    if (entry !== undefined) entries.set(entry.output, entry);
  }
  return entries;
}

/** Undefined for a line that a crash cut off. */
function entryOf(line: string): Entry | undefined {
  try {
    const entry = JSON.parse(line) as Entry | null;
    return typeof entry?.output === 'string' ? entry : undefined;
  } catch {
    return undefined;
  }
}
