import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseAllDocuments } from 'yaml';
import { root } from '../../../scripts/lib/service.ts';

export const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');

/** What a validator of requirements.txt says; undefined: nothing, it is content. `input` goes to its standard input. */
export function complaintsOf(tool: string, args: readonly string[], input?: string): string | undefined {
  const { status, stdout, stderr, error } = spawnSync(path.join(root, 'tests/packaging/.venv/bin', tool), args, {
    cwd: root,
    encoding: 'utf8',
    ...(input === undefined ? {} : { input }),
  });
  if (error) throw error;
  return status === 0 ? undefined : stdout + stderr;
}

/** Any YAML mapping; tests look into it, and a wrong path is undefined. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Yaml = any;

/** Every document of a file, its anchors and merge keys resolved. */
export function yamlOf(file: string): Yaml[] {
  return parseAllDocuments(read(file), { merge: true }).map((document) => {
    if (document.errors.length > 0) throw document.errors[0]!;
    return document.toJS();
  });
}
